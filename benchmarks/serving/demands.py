"""What the figures must be, each a ratio of medians or a median of one run."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.serving.contenders import BARE, LITSERVE
from benchmarks.serving.figures import COLD, DRAINED, FROM_STOCK, P50, P99, ZIP, Figures
from benchmarks.serving.limits import LIMIT

MACHINE = "this machine"  # the contender that the limits belong to


@dataclass(frozen=True)
class Demand:
    """One line of the requirements: a value of the figures that must be at least, or at most, a bound."""

    what: str
    value: Callable[[Figures], float]
    bound: float
    unit: str
    at_least: bool = True

    @property
    def words(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}{self.unit}"

    def holds(self, figures: Figures) -> bool | None:
        """None where it was not measured."""
        value = self.value(figures)
        if math.isnan(value):
            return None
        return value >= self.bound if self.at_least else value <= self.bound


DEMANDS = (
    Demand(
        "one image from stock, 1 client, p50: times faster than LitServe",
        lambda all: all.median(P50, LITSERVE) / all.median(P50),
        20,
        "x",
    ),
    Demand(
        "the same, p50: of the bare endpoint's",
        lambda all: all.median(P50) / all.median(P50, BARE),
        3,
        "x",
        at_least=False,
    ),
    Demand("the same, p99", lambda all: all.median(P99), 10, " ms", at_least=False),
    Demand(
        "requests/s from stock, 32 clients: of the bare endpoint's",
        lambda all: 100 * all.median(FROM_STOCK) / all.median(FROM_STOCK, BARE),
        60,
        " %",
    ),
    Demand(
        "images/s, stock drained, 32 clients of 1 image: of the limit of generator and encoder",
        lambda all: 100 * all.median(DRAINED) / all.median(LIMIT, MACHINE),
        85,
        " %",
    ),
    Demand("the same: of LitServe's", lambda all: all.median(DRAINED) / all.median(DRAINED, LITSERVE), 1.8, "x"),
    Demand(
        "images/s, 256 images to a zip: of the same limit",
        lambda all: 100 * all.median(ZIP) / all.median(LIMIT, MACHINE),
        90,
        " %",
    ),
    Demand("first image of a cold model", lambda all: all.median(COLD), 1000, " ms", at_least=False),
)
