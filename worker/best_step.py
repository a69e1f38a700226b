"""Chooses the step of a run whose networks are published."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flawsmith.models.quality.registry import BY_NAME, LEADING
from flawsmith.models.training.trainer import Networks

# Of the distance: as much as another random set of photographs changes it. Of steps this close, the last is the best:
# its learning rate is the lowest and its average the longest. On the scale of the defects: a twentieth of what makes
# photographs without defects.
INDISTINCT = {LEADING: 0.02, "defect_distance": 0.05}
COPIES, SHOWN = BY_NAME["memorization_rate"], BY_NAME["defect_shown"]

Point = Mapping[str, float]


@dataclass
class Best:
    """The last of the nearest steps to the photographs, of those that show the defect and do not copy, if any.

    ``memorization_rate`` is 0 where it was not measured.
    """

    step: int
    distance: float
    memorization_rate: float
    networks: Networks


def is_best(history: Sequence[Point]) -> bool:
    """Whether no evaluated step is better than the last one by more than chance."""
    evaluated = _evaluated(history)
    signal = _ranked_by(evaluated)
    *flaws, distance = _rank(history[-1], signal)
    (*fewest_flaws, least_distance), _ = _nearest(evaluated, signal)
    return math.isfinite(distance) and (flaws, distance) <= (fewest_flaws, least_distance + INDISTINCT[signal])


def evaluations_without_improvement(history: Sequence[Point]) -> int:
    """How many evaluations there were since the nearest one."""
    evaluated = _evaluated(history)
    if not evaluated:
        return 0
    _, nearest = _nearest(evaluated, _ranked_by(evaluated))
    return sum(point["step"] > nearest for point in evaluated)


def _evaluated(history: Sequence[Point]) -> list[Point]:
    return [point for point in history if LEADING in point]


def _ranked_by(evaluated: Sequence[Point]) -> str:
    """The distance that feels the defect, where every evaluation has it; a run of an earlier release does not."""
    return "defect_distance" if all("defect_distance" in point for point in evaluated) else LEADING


def _nearest(evaluated: Sequence[Point], signal: str) -> tuple[tuple[bool, bool, float], float]:
    """The rank and the step of the evaluated step whose samples were nearest to the photographs."""
    return min((_rank(point, signal), point["step"]) for point in evaluated)


def _rank(point: Point, signal: str) -> tuple[bool, bool, float]:
    """Whether samples copy photographs, whether they lack the defect, and the distance; lower is better."""
    assert COPIES.warning is not None and SHOWN.failing is not None
    copies = point.get(COPIES.name, 0.0) > COPIES.warning
    lacking = point.get(SHOWN.name, 1.0) < SHOWN.failing
    return copies, lacking, point[signal] if math.isfinite(point[signal]) else math.inf
