"""From the scores of an experiment to its result: means, paired intervals, and what they are evidence of."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtrit  # scipy.stats has it as well, and takes 60 MB of every worker

from flawsmith.core.domain.evaluation_result import (
    ArmResult,
    Difference,
    Estimate,
    EvaluationResult,
    UpliftVerdict,
)
from flawsmith.models.evaluation.experiment import REAL, WITH_SYNTHETIC, Arm, Key, arms
from flawsmith.models.evaluation.scores import Scores, mean_scores

CONFIDENCE = 0.95  # of each interval that is shown, and of the verdict as a whole

Score = Callable[[Scores], float]


@dataclass(frozen=True)
class Comparison:
    """``real+synthetic`` against ``real`` at one number of photographs and one ratio.

    Attributes:
        shown: the difference with intervals of its own.
        corrected: the same with intervals that hold for all comparisons of the experiment together.
    """

    shown: Difference
    corrected: Difference

    @property
    def gains(self) -> bool:
        """More accurate, and worse in neither macro-F1 nor the worst type's recall."""
        worse = min(self.corrected.macro_f1.high, self.corrected.worst_recall.high) < 0
        return self.corrected.accuracy.low > 0 and not worse

    @property
    def loses(self) -> bool:
        return self.corrected.accuracy.high < 0

    def __str__(self) -> str:
        mean, low, high = (100 * each for each in vars(self.corrected.accuracy).values())
        return (
            f"{mean:+.1f} points of accuracy ({low:+.1f} to {high:+.1f}) with {self.shown.per_type} photographs a type "
            f"and {self.shown.ratio:g} times as many synthetic ones"
        )


def uplift(
    scored: Mapping[Key, Scores],
    per_type: Sequence[int],
    ratios: Sequence[float],
    repeats: int,
    held_out: Sequence[int],
    leaks: bool,
) -> EvaluationResult:
    """The result of a whole experiment.

    The intervals shown are of single differences. Among many, one excludes zero by chance, so the verdict uses
    intervals with Bonferroni's correction for the number of differences.

    Args:
        scored: of every arm, with every subset.
        per_type, ratios, repeats: of the experiment, two repeats or more.
        held_out: by type, how many photographs the scores are of.
        leaks: see `EvaluationResult`.
    """
    comparisons = [
        _comparison(scored, count, ratio, repeats, held_out, len(per_type) * len(ratios))
        for count in per_type
        for ratio in ratios
    ]
    verdict, recommended, reason = _verdict(comparisons, ratios)
    if leaks:
        reason += ". The generator has seen photographs of the test, so gains may be none with new photographs"
    return EvaluationResult(
        arms=[_arm(scored, count, arm, repeats) for count in per_type for arm in arms(ratios)],
        differences=[each.shown for each in comparisons],
        recommended_ratio=recommended,
        verdict=verdict,
        reason=reason,
        leaks=leaks,
        repeats=repeats,
    )


def not_measurable(reason: str, leaks: bool, repeats: int) -> EvaluationResult:
    """The result where nothing can be measured."""
    return EvaluationResult(
        arms=[],
        differences=[],
        recommended_ratio=None,
        verdict="not measurable",
        reason=reason,
        leaks=leaks,
        repeats=repeats,
    )


def interval(differences: Sequence[float], confidence: float, resolution: float) -> Estimate:
    """Mean of paired differences and its interval by Student's t.

    Args:
        differences: two or more.
        confidence: 0 … 1.
        resolution: the smallest step of the score. Few test photographs make differences that are equal by chance: the
            standard deviation is taken to be at least that of rounding to this step.
    """
    mean = fmean(differences)
    deviation = max(stdev(differences), resolution / math.sqrt(12))
    quantile = float(stdtrit(len(differences) - 1, (1 + confidence) / 2))
    half = quantile * deviation / math.sqrt(len(differences))
    return Estimate(mean=mean, low=mean - half, high=mean + half)


def _comparison(
    scored: Mapping[Key, Scores], per_type: int, ratio: float, repeats: int, held_out: Sequence[int], comparisons: int
) -> Comparison:
    pairs = [
        (scored[per_type, repeat, Arm(WITH_SYNTHETIC, ratio)], scored[per_type, repeat, Arm(REAL, 0.0)])
        for repeat in range(repeats)
    ]

    def difference(confidence: float) -> Difference:
        def of(score: Score, photographs: int) -> Estimate:
            return interval([score(ours) - score(theirs) for ours, theirs in pairs], confidence, 1 / photographs)

        return Difference(
            per_type=per_type,
            ratio=ratio,
            accuracy=of(lambda each: each.accuracy, sum(held_out)),
            macro_f1=of(lambda each: each.macro_f1, sum(held_out)),
            worst_recall=of(lambda each: each.worst_recall, min(held_out)),
        )

    return Comparison(difference(CONFIDENCE), difference(1 - (1 - CONFIDENCE) / comparisons))


def _verdict(comparisons: Sequence[Comparison], ratios: Sequence[float]) -> tuple[UpliftVerdict, float | None, str]:
    """The verdict, the recommended ratio, and the reason.

    A ratio helps where it gains with some number of photographs and loses with none.
    """
    at = {ratio: [each for each in comparisons if each.shown.ratio == ratio] for ratio in ratios}
    gains, losses = [each for each in comparisons if each.gains], [each for each in comparisons if each.loses]
    helping = [ratio for ratio in ratios if any(each.gains for each in at[ratio]) and _never_loses(at[ratio])]
    if helping:
        best = max(helping, key=lambda ratio: fmean(each.shown.accuracy.mean for each in at[ratio]))
        shown = max((each for each in at[best] if each.gains), key=lambda each: each.shown.accuracy.mean)
        return "helps", best, f"{shown}{_also('it loses', losses)}"
    if losses:
        worst = min(losses, key=lambda each: each.shown.accuracy.mean)
        return "hurts", None, f"{worst}{_also('it gains', gains)}"
    largest = max(comparisons, key=lambda each: abs(each.shown.accuracy.mean))
    return "no evidence", None, f"no difference is larger than chance allows; the largest is {largest}"


def _never_loses(comparisons: Sequence[Comparison]) -> bool:
    return not any(each.loses for each in comparisons)


def _also(what: str, comparisons: Sequence[Comparison]) -> str:
    return f"; {what}: {'; '.join(map(str, comparisons))}" if comparisons else ""


def _arm(scored: Mapping[Key, Scores], per_type: int, arm: Arm, repeats: int) -> ArmResult:
    mean = mean_scores([scored[per_type, repeat, arm] for repeat in range(repeats)])
    return ArmResult.model_validate({"name": arm.name, "per_type": per_type, "ratio": arm.ratio, **vars(mean)})
