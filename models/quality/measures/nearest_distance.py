"""How near samples are to their nearest training photograph."""

from flawsmith.models.quality.comparison import Photographs, Samples
from flawsmith.models.quality.measure import Measure, Measurement
from flawsmith.models.quality.memorization import nearest_distances


def _prepare(photographs: Photographs) -> Measurement:
    training = photographs.training

    def measure(samples: Samples) -> float:
        return nearest_distances(samples.images, training)[:, 0].mean().item()

    return measure


MEASURES = (
    Measure(
        name="nearest_distance",
        meaning="mean distance of samples to the nearest training photograph; 0 for copies, at most 2",
        better=None,
        prepare=_prepare,
    ),
)
