"""An evaluation measures all that the photographs allow."""

from tests.models.pictures import blots
from torch import Tensor

from flawsmith.models.quality.evaluator import Evaluator


def mean_brightness(images: Tensor, of_type: int) -> float:
    return images.float().mean().item()


def test_every_measure_of_an_evaluation_has_a_value_where_its_needs_are_met() -> None:
    signals = Evaluator([blots(0)], [blots(1, 20)], mean_brightness).signals([blots(2)])
    assert set(signals) == {
        "distance", "diversity", "near_duplicates", "memorization_rate", "nearest_distance", "overfitting_r_v"
    }  # fmt: skip


def test_measures_whose_needs_are_not_met_are_left_out() -> None:
    two = blots(0, 2)
    without_holdout = Evaluator([two], [two[:0]], mean_brightness).signals([blots(2, 4)])
    assert set(without_holdout) == {"distance", "diversity", "near_duplicates", "nearest_distance"}
    assert "overfitting_r_v" not in Evaluator([blots(0)], [blots(1, 20)]).signals([blots(2)])


def test_the_same_images_give_the_same_values() -> None:
    first, second = (Evaluator([blots(0)], [blots(1, 20)]).signals([blots(2)]) for _ in range(2))
    assert first == second
