"""Pairs of samples that are nearly the same image."""

from tests.models.pictures import blots

from flawsmith.models.quality.evaluator import Evaluator


def test_one_image_repeated_has_only_near_duplicates_and_photographs_hardly_any() -> None:
    evaluator = Evaluator([blots(0)], [blots(1, 20)])
    assert evaluator.signals([blots(2)[:1].expand(30, -1, -1, -1)])["near_duplicates"] == 1
    assert evaluator.signals([blots(2)])["near_duplicates"] < 0.05
