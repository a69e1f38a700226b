"""The distance to holdout photographs."""

from tests.models.pictures import blots, noise

from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.quality.registry import BY_NAME


def test_other_photographs_of_the_kind_are_near_and_noise_is_far() -> None:
    evaluator = Evaluator([blots(0)], [blots(1, 20)])
    assert abs(evaluator.signals([blots(2)])["distance"]) < 0.1
    assert evaluator.signals([noise(40)])["distance"] > 0.5


def test_types_have_equal_weight_however_many_photographs_each_has() -> None:
    """A model of all types is neither worse for being right about the rare one, nor better for leaving it out."""
    common, rare = blots(0), blots(1, 6).flip(3) // 2
    evaluator = Evaluator([common, rare], [blots(2, 20), rare[:0]])
    right = evaluator.signals([blots(3, 20), blots(4, 20).flip(3) // 2])["distance"]
    without_the_rare = evaluator.signals([blots(3, 20), blots(4, 20)])["distance"]
    confused = evaluator.signals([blots(4, 20).flip(3) // 2, blots(3, 20)])["distance"]
    assert abs(right) < 0.1
    assert without_the_rare > 0.3
    assert confused > 0.6


def test_a_run_diverged_if_the_last_distances_are_ten_times_the_best_and_far() -> None:
    reason = BY_NAME["distance"].divergence_reason
    assert reason([0.02, 50, 60, 70], [50, 60, 70]) == (
        "samples went away from the photographs: their distance was 0.02, and is 70"
    )
    assert reason([0.02, 50, 0.1, 70], [50, 0.1, 70]) is None
    assert reason([0.02, 0.3, 0.3, 0.3], [0.3, 0.3, 0.3]) is None  # more than ten times the best, but not far
    assert reason([0.2, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9]) is None  # far, but it was never near
