"""What an evaluation found out: whether a version's images help a classifier, as GET /evaluations/{id} shows it."""

from typing import Literal

from flawsmith.core.domain.records import Record

ArmName = Literal["real", "real+synthetic", "synthetic", "paste"]
UpliftVerdict = Literal["helps", "no evidence", "hurts", "not measurable"]


class ArmResult(Record):
    """Scores of one arm's classifiers on held-out photographs, 0 … 1 each, on average over the repeats.

    Attributes:
        name: ``real``: trained on photographs. ``real+synthetic``: on generated images as well. ``synthetic``: on
            these alone. ``paste``: on photographs, and pictures with parts of them pasted.
        per_type: photographs of each type.
        ratio: generated or pasted pictures for each photograph; 0 for ``real``.
        accuracy: share of the held-out photographs whose type was found.
        macro_f1: F1, on average over the types.
        worst_recall: recall of the worst type.
    """

    name: ArmName
    per_type: int
    ratio: float
    accuracy: float
    macro_f1: float
    worst_recall: float


class Estimate(Record):
    """A mean over the repeats with its 95 % interval (Student's t)."""

    mean: float
    low: float
    high: float


class Difference(Record):
    """``real+synthetic`` less ``real``, paired by repeat."""

    per_type: int
    ratio: float
    accuracy: Estimate
    macro_f1: Estimate
    worst_recall: Estimate


class EvaluationResult(Record):
    """The result of an evaluation.

    Attributes:
        arms: scores of each arm.
        differences: at each number of photographs and each ratio.
        recommended_ratio: the ratio to use; None where no ratio helps.
        verdict: said with a correction for the number of differences, so an interval above that does not cover zero is
            not enough.
        reason: of the verdict, in words.
        leaks: whether the generator has seen photographs that classifiers are tested on: the gain is then an upper
            bound, and says little.
        repeats: subsets of each size.
    """

    arms: list[ArmResult]
    differences: list[Difference]
    recommended_ratio: float | None
    verdict: UpliftVerdict
    reason: str
    leaks: bool
    repeats: int
