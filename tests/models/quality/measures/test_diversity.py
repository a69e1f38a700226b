"""The distance of samples from one another."""

from tests.models.pictures import blots

from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.quality.registry import BY_NAME


def test_photographs_differ_as_photographs_do_and_one_image_repeated_not_at_all() -> None:
    evaluator = Evaluator([blots(0)], [blots(1, 20)])
    assert 0.7 < evaluator.signals([blots(2)])["diversity"] < 1.4
    assert evaluator.signals([blots(2)[:1].expand(30, -1, -1, -1)])["diversity"] < 0.05


def test_a_run_diverged_if_its_samples_became_alike_but_not_if_they_always_were() -> None:
    reason = BY_NAME["diversity"].divergence_reason
    assert reason([0.9, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1]) == (
        "samples became alike: they differ 10% as much as photographs do"
    )
    assert reason([0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1]) is None
    assert reason([0.9, 0.1, 0.5, 0.1], [0.1, 0.5, 0.1]) is None
