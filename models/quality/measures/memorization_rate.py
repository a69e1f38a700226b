"""How many samples are near-copies of training photographs."""

from flawsmith.models.quality.comparison import Photographs, Samples
from flawsmith.models.quality.measure import Measure, Measurement, Need
from flawsmith.models.quality.memorization import memorization_rate

WARNING = 0.05  # a checkpoint above it is published only if none is below


def _prepare(photographs: Photographs) -> Measurement:
    training, allowed = photographs.training, photographs.min_nn_ratio

    def measure(samples: Samples) -> float:
        return memorization_rate(samples.images, training, allowed)

    return measure


MEASURES = (
    Measure(
        name="memorization_rate",
        meaning="share of samples that are nearer to one training photograph than any genuine photograph is",
        better="lower",
        prepare=_prepare,
        needs=(Need.NEIGHBOURS,),
        warning=WARNING,
        sentence="{value:.0%} of the samples are near-copies of photographs trained on",
    ),
)
