"""An evaluation measures all that the photographs allow."""

from tests.models.pictures import blots
from torch import Tensor

from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.quality.measure import Need
from flawsmith.models.quality.registry import MEASURES

OF_EVALUATIONS = [each for each in MEASURES if not each.each_step]


def mean_brightness(images: Tensor, of_type: int) -> float:
    return images.float().mean().item()


def test_every_measure_of_an_evaluation_has_a_value_where_its_needs_are_met() -> None:
    signals = Evaluator([blots(0)], [blots(1, 20)], mean_brightness).signals([blots(2)])
    assert set(signals) == {each.name for each in OF_EVALUATIONS}


def test_measures_whose_needs_are_not_met_are_left_out() -> None:
    two = blots(0, 2)
    without_holdout = Evaluator([two], [two[:0]], mean_brightness).signals([blots(2, 4)])
    assert set(without_holdout) == {each.name for each in OF_EVALUATIONS if set(each.needs) <= {Need.DISCRIMINATOR}}
    assert not {"memorization_rate", "overfitting_r_v"} & set(without_holdout)
    assert "overfitting_r_v" not in Evaluator([blots(0)], [blots(1, 20)]).signals([blots(2)])


def test_the_same_images_give_the_same_values() -> None:
    first, second = (Evaluator([blots(0)], [blots(1, 20)]).signals([blots(2)]) for _ in range(2))
    assert first == second
