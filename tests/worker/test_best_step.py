"""Which step's networks are published, and when patience runs out."""

import math

import pytest

from flawsmith.worker.best_step import evaluations_without_improvement, is_best


def evaluated(*distances: float, copies: float = 0.0) -> list[dict[str, float]]:
    return [{"step": step, "distance": each, "memorization_rate": copies} for step, each in enumerate(distances, 1)]


@pytest.mark.parametrize(
    ("distances", "best"),
    [
        ([0.3], True),
        ([0.3, 0.2], True),
        ([0.2, 0.21], True),  # by chance
        ([0.2, 0.3], False),
        ([0.2, 0.215, 0.225], False),  # chance is counted from the nearest, not from the step before
        ([0.2, math.nan], False),
    ],
)
def test_the_last_step_is_best_unless_another_was_nearer_by_more_than_chance(
    distances: list[float], best: bool
) -> None:
    assert is_best(evaluated(*distances)) is best


def test_a_step_whose_samples_copy_is_best_only_among_such() -> None:
    far, copying = evaluated(0.9), {"step": 2.0, "distance": 0.1, "memorization_rate": 0.06}
    assert not is_best([*far, copying])
    assert is_best([*evaluated(0.9, copies=0.5), copying])
    assert is_best([copying, {"step": 3.0, "distance": 0.9, "memorization_rate": 0.05}])


def test_steps_without_an_evaluation_do_not_count() -> None:
    recorded = [*evaluated(0.3, 0.2), {"step": 3.0, "generator_loss": 1.0}, {"step": 4.0, "distance": 0.5}]
    assert evaluations_without_improvement(recorded) == 1
    assert evaluations_without_improvement(recorded[:3]) == 0
    assert evaluations_without_improvement([]) == 0


def defects(*steps: tuple[float, float]) -> list[dict[str, float]]:
    """Evaluations with these distances on the scale of the defects and shares of samples that show them."""
    return [
        {"step": step, "distance": 0.01 * step, "defect_distance": distance, "defect_shown": shown}
        for step, (distance, shown) in enumerate(steps, 1)
    ]


def test_a_step_is_judged_by_the_distance_that_feels_the_defect() -> None:
    assert is_best(defects((0.5, 1.0), (0.1, 1.0)))  # although `distance` doubled
    assert is_best(defects((0.10, 1.0), (0.14, 1.0)))  # by chance
    assert not is_best(defects((0.1, 1.0), (0.3, 1.0)))
    assert evaluations_without_improvement(defects((0.1, 1.0), (0.3, 1.0), (0.2, 1.0))) == 2


def test_a_step_that_does_not_show_the_defect_is_best_only_among_such() -> None:
    assert not is_best(defects((0.8, 0.9), (0.1, 0.2)))
    assert is_best(defects((0.8, 0.1), (0.1, 0.2)))


def test_a_history_that_an_earlier_release_began_goes_on_by_its_distance() -> None:
    assert not is_best([*evaluated(0.2), {"step": 2.0, "distance": 0.9, "defect_distance": 0.0, "defect_shown": 1.0}])
