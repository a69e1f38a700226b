"""The verdict on made-up scores: a function from subset and arm to scores stands for generator and classifier."""

import random
from collections.abc import Callable

import pytest

from flawsmith.core.domain.evaluation_result import EvaluationResult
from flawsmith.models.evaluation.experiment import WITH_SYNTHETIC, Arm, arms
from flawsmith.models.evaluation.scores import Scores
from flawsmith.worker.uplift import interval, not_measurable, uplift

PER_TYPE, RATIOS, REPEATS = [10, 50], [0.5, 1.0, 2.0, 4.0], 5
HELD_OUT = [100] * 6
SUBSET, NOISE = 0.02, 0.008  # standard deviations: of subsets, which arms share, and of single classifiers

Effect = Callable[[int, float], float]
"""What synthetic images add to each score, by photographs a type and ratio."""


def experiment(effect: Effect, seed: int = 0, worst: Effect | None = None) -> EvaluationResult:
    noise, scored = random.Random(seed), {}
    for per_type in PER_TYPE:
        for repeat in range(REPEATS):
            shared = noise.gauss(0.9, SUBSET)
            for arm in arms(RATIOS):
                added = [0.0, 0.0]
                if arm.name == WITH_SYNTHETIC:
                    added = [each(per_type, arm.ratio) for each in (effect, worst or effect)]
                values = [shared + noise.gauss(each, NOISE) for each in (added[0], added[0], added[1])]
                scored[per_type, repeat, arm] = Scores(*values)
    return uplift(scored, PER_TYPE, RATIOS, REPEATS, HELD_OUT, leaks=False)


def test_a_gain_at_one_ratio_helps_and_is_recommended() -> None:
    result = experiment(lambda per_type, ratio: 0.06 if ratio == 2 else 0.0)
    assert (result.verdict, result.recommended_ratio) == ("helps", 2.0)
    assert result.reason.startswith("+")


def test_a_loss_hurts() -> None:
    result = experiment(lambda per_type, ratio: -0.06)
    assert (result.verdict, result.recommended_ratio) == ("hurts", None)


def test_a_ratio_that_gains_with_few_photographs_and_loses_with_many_is_not_recommended() -> None:
    def effect(per_type: int, ratio: float) -> float:
        if ratio == 4:
            return 0.09 if per_type == 10 else -0.09
        return 0.06 if ratio == 1 else 0.0

    result = experiment(effect)
    assert (result.verdict, result.recommended_ratio) == ("helps", 1.0)
    assert "it loses" in result.reason


def test_accuracy_at_the_cost_of_the_worst_type_does_not_help() -> None:
    result = experiment(lambda per_type, ratio: 0.06, worst=lambda per_type, ratio: -0.2)
    assert result.verdict == "no evidence"


def test_nothing_added_covers_zero_and_seldom_helps() -> None:
    results = [experiment(lambda per_type, ratio: 0.0, seed) for seed in range(20)]
    for position in range(len(PER_TYPE) * len(RATIOS)):
        estimates = [each.differences[position].accuracy for each in results]
        assert sum(each.low <= 0 <= each.high for each in estimates) >= 17
    assert [each.verdict for each in results].count("no evidence") >= 18
    # without the correction for eight differences a third of them would have found something
    uncorrected = [any(each.accuracy.low > 0 or each.accuracy.high < 0 for each in one.differences) for one in results]
    assert sum(uncorrected) > 2


def test_means_are_those_of_the_repeats() -> None:
    scored = {
        (10, repeat, arm): Scores(*[0.5 + 0.1 * repeat + (0.2 if arm.name == "real" else 0.25)] * 3)
        for repeat in range(2)
        for arm in arms([1.0])
    }
    result = uplift(scored, [10], [1.0], 2, [50, 50], leaks=True)
    assert [(each.name, each.ratio) for each in result.arms] == [
        ("real", 0.0),
        ("real+synthetic", 1.0),
        ("synthetic", 1.0),
        ("paste", 1.0),
    ]
    assert [round(each.accuracy, 6) for each in result.arms] == [0.75, 0.8, 0.8, 0.8]
    assert result.differences[0].macro_f1.mean == pytest.approx(0.05)
    assert result.leaks
    assert "has seen" in result.reason


def test_the_interval_is_students() -> None:
    found = interval([0.01, 0.02, 0.03], 0.95, 0.001)  # t with 2 degrees of freedom: 4.303
    assert (found.mean, found.high - found.mean) == (pytest.approx(0.02), pytest.approx(4.3027 * 0.01 / 3**0.5, 1e-4))


def test_equal_differences_of_few_photographs_are_no_certainty() -> None:
    found = interval([0.25, 0.25], 0.95, 0.25)
    assert found.low < 0 < found.high


@pytest.mark.parametrize(("ratios", "nearest"), [([0.5, 1.0, 4.0], 1.0), ([4.0, 2.0], 2.0), ([0.1], 0.1)])
def test_single_arms_have_the_ratio_nearest_to_one(ratios: list[float], nearest: float) -> None:
    assert arms(ratios)[-2:] == [Arm("synthetic", nearest), Arm("paste", nearest)]


def test_what_is_not_measurable() -> None:
    result = not_measurable("one type alone", leaks=False, repeats=5)
    assert (result.verdict, result.reason, result.arms, result.differences) == (
        "not measurable",
        "one type alone",
        [],
        [],
    )
