"""Chooses the step of a run whose networks are published."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flawsmith.models.quality.registry import BY_NAME, LEADING
from flawsmith.models.training.trainer import Networks

# Of the distance: as much as another random set of photographs changes it. Of steps this close, the last is the best:
# its learning rate is the lowest and its average the longest.
INDISTINCT = 0.02
COPIES = BY_NAME["memorization_rate"]

Point = Mapping[str, float]


@dataclass
class Best:
    """The last of the steps whose samples were nearest to the photographs, of those that do not copy, if any.

    ``memorization_rate`` is 0 where it was not measured.
    """

    step: int
    distance: float
    memorization_rate: float
    networks: Networks


def is_best(history: Sequence[Point]) -> bool:
    """Whether no evaluated step is better than the last one by more than chance."""
    copies, distance = _rank(history[-1])
    (fewest_copies, least_distance), _ = _nearest(history)
    return math.isfinite(distance) and (copies, distance) <= (fewest_copies, least_distance + INDISTINCT)


def evaluations_without_improvement(history: Sequence[Point]) -> int:
    """How many evaluations there were since the nearest one."""
    evaluated = [point for point in history if LEADING in point]
    if not evaluated:
        return 0
    _, nearest = _nearest(evaluated)
    return sum(point["step"] > nearest for point in evaluated)


def _nearest(history: Sequence[Point]) -> tuple[tuple[bool, float], float]:
    """The rank and the step of the evaluated step whose samples were nearest to the photographs."""
    return min((_rank(point), point["step"]) for point in history if LEADING in point)


def _rank(evaluated: Point) -> tuple[bool, float]:
    """Whether samples copy photographs, and the distance; lower is better."""
    assert COPIES.warning is not None
    distance = evaluated[LEADING]
    return evaluated.get(COPIES.name, 0.0) > COPIES.warning, distance if math.isfinite(distance) else math.inf
