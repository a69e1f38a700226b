"""How far the discriminator has learnt its training photographs by heart."""

from statistics import fmean

from flawsmith.models.quality.comparison import Photographs, Samples, evenly_chosen
from flawsmith.models.quality.measure import Measure, Measurement, Need


def _prepare(photographs: Photographs) -> Measurement:
    score, training, holdout = photographs.score, photographs.training_scored, photographs.holdout_scored
    assert score is not None
    types = [each for each, held_out in enumerate(holdout) if len(held_out)]

    def measure(samples: Samples) -> float:
        """r_v = (E[D_train] - E[D_validation]) / (E[D_train] - E[D_generated]), each the mean over types.

        Only types with holdout photographs count. The denominator's magnitude is used, so that a discriminator that
        prefers samples does not change the sign.
        """
        train, validation, generated = (
            fmean(score(of[each], each) for each in types)
            for of in (training, holdout, [evenly_chosen(each) for each in samples.by_type])
        )
        return (train - validation) / max(abs(train - generated), 1e-6)

    return measure


MEASURES = (
    Measure(
        name="overfitting_r_v",
        meaning=(
            "overfitting heuristic r_v: how much higher the discriminator scores training photographs than holdout "
            "ones, as a share of how much higher than samples; 0 without overfitting, 1 where it takes holdout "
            "photographs for samples"
        ),
        better="lower",
        prepare=_prepare,
        needs=(Need.HOLDOUT, Need.DISCRIMINATOR),
        warning=1.2,
        sentence=(
            "the discriminator takes photographs that it was not shown for samples: it learns the others by heart"
        ),
        paper="Karras et al. 2020, arXiv:2006.06676, eq. 1",
    ),
)
