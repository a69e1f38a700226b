"""The requirements of a comparison: each is a bound on a ratio of medians, or on the median of one figure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.serving.figures import COLD, DRAINED, FROM_POOL, P50, P99, ZIP, Figures
from benchmarks.serving.limits import LIMIT
from benchmarks.serving.peer_servers import BARE, LITSERVE

MACHINE = "this machine"  # the contender that the limits belong to


@dataclass(frozen=True)
class Requirement:
    """A value of the figures that must be at least, or at most, a bound."""

    what: str
    value: Callable[[Figures], float]
    bound: float
    unit: str
    at_least: bool = True

    @property
    def text(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}{self.unit}"

    def met(self, figures: Figures) -> bool | None:
        """None if it was not measured."""
        value = self.value(figures)
        if math.isnan(value):
            return None
        return value >= self.bound if self.at_least else value <= self.bound


REQUIREMENTS = (
    Requirement(
        "one image from the pool, 1 client, p50: times faster than LitServe",
        lambda figures: figures.median(P50, LITSERVE) / figures.median(P50),
        20,
        "x",
    ),
    Requirement(
        "the same, p50: relative to the bare endpoint",
        lambda figures: figures.median(P50) / figures.median(P50, BARE),
        3,
        "x",
        at_least=False,
    ),
    Requirement("the same, p99", lambda figures: figures.median(P99), 10, " ms", at_least=False),
    Requirement(
        "requests/s from the pool, 32 clients: relative to the bare endpoint",
        lambda figures: 100 * figures.median(FROM_POOL) / figures.median(FROM_POOL, BARE),
        60,
        " %",
    ),
    Requirement(
        "images/s, pool drained, 32 clients, 1 image each: relative to the limit of generator and encoder",
        lambda figures: 100 * figures.median(DRAINED) / figures.median(LIMIT, MACHINE),
        85,
        " %",
    ),
    Requirement(
        "the same: relative to LitServe",
        lambda figures: figures.median(DRAINED) / figures.median(DRAINED, LITSERVE),
        1.8,
        "x",
    ),
    Requirement(
        "images/s, 256 images in a zip: relative to the same limit",
        lambda figures: 100 * figures.median(ZIP) / figures.median(LIMIT, MACHINE),
        90,
        " %",
    ),
    Requirement("first image of a cold model", lambda figures: figures.median(COLD), 1000, " ms", at_least=False),
)
