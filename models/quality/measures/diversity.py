"""How much samples differ from one another."""

from collections.abc import Sequence

from flawsmith.models.quality.comparison import Photographs, Samples
from flawsmith.models.quality.measure import Divergence, Measure, Measurement
from flawsmith.models.quality.two_sample import mean_distance

WARNING, FAILING = 0.6, 0.3


def _prepare(photographs: Photographs) -> Measurement:
    unit = photographs.mean_distance

    def measure(samples: Samples) -> float:
        return mean_distance(samples.features) / unit

    return measure


def _diverged(values: Sequence[float], last: Sequence[float]) -> str | None:
    """A run whose samples never differed has not begun to learn; it has not diverged."""
    if max(values) <= WARNING or max(last) >= FAILING:
        return None
    return f"samples became alike: they differ {last[-1]:.0%} as much as photographs do"


MEASURES = (
    Measure(
        name="diversity",
        meaning="mean distance of two samples, as a share of the mean distance of two photographs",
        better="higher",
        prepare=_prepare,
        warning=WARNING,
        failing=FAILING,
        sentence="samples are too much alike: they differ {value:.0%} as much as photographs do",
        divergence=Divergence(
            f"under {FAILING} three evaluations in a row, after having been over {WARNING}", _diverged
        ),
    ),
)
