"""How far samples are from photographs that were not trained on."""

from collections.abc import Sequence
from statistics import fmean

from flawsmith.models.quality.comparison import Photographs, Samples
from flawsmith.models.quality.measure import Divergence, Measure, Measurement
from flawsmith.models.quality.two_sample import energy_distance

WARNING, FAILING = 0.1, 0.5
DIVERGED_TIMES = 10.0  # as many times the best distance


def _prepare(photographs: Photographs) -> Measurement:
    reference, unit = photographs.reference_features, photographs.mean_distance

    def measure(samples: Samples) -> float:
        return fmean(map(energy_distance, reference, samples.features)) / unit

    return measure


def _diverged(values: Sequence[float], last: Sequence[float]) -> str | None:
    best = max(min(values), 0.0)
    if min(last) <= max(DIVERGED_TIMES * best, FAILING):
        return None
    return f"samples went away from the photographs: their distance was {best:.3g}, and is {last[-1]:.3g}"


MEASURES = (
    Measure(
        name="distance",
        meaning=(
            "energy distance of samples to holdout photographs (to those trained on where none are held out), "
            "the mean over types, as a share of the mean distance of two photographs"
        ),
        better="lower",
        prepare=_prepare,
        warning=WARNING,
        failing=FAILING,
        sentence=(
            "after {step} steps samples do not look like the photographs yet: their distance is {value:.2f}, "
            "where {warning} is near"
        ),
        divergence=Divergence(
            f"more than {DIVERGED_TIMES:g} times the best and more than {FAILING}, three evaluations in a row",
            _diverged,
        ),
        paper="Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018",
    ),
)
