"""What speaks against a version as the alias `production`, and how a person overrides it."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from flawsmith.core.domain.records import ModelVersion, Moment, Record

Demand = Literal["verdict", "uplift"]
"""``verdict``: it is not failing. ``uplift``: no evaluation of the version says that its images hurt a classifier."""

HURTS = "hurts"


class Override(Record):
    """A person's decision to point an alias at a version, whatever speaks against it.

    Attributes:
        alias: that was set.
        why: in the person's words.
        by: a fingerprint that tells callers apart; the audit log has the caller.
        at: when.
        reasons: what spoke against the version; empty where nothing did.
    """

    alias: str
    why: str
    by: str
    at: Moment
    reasons: list[str]


def objections(
    version: ModelVersion, evaluations: Mapping[str, Mapping[str, Any]], demands: Collection[Demand]
) -> list[str]:
    """Why a version should not be in production, in words; empty where nothing speaks against it.

    A version without a verdict or without evaluations passes.

    Args:
        version: its card.
        evaluations: the results of its evaluations, by their ids.
        demands: what is asked of it.
    """
    found = []
    if "verdict" in demands and version.verdict and version.failing:
        found.append(f"its verdict is failing: {version.verdict.sentence.rstrip('.')}")
        said = version.verdict.sentence.casefold()
        found += [each for each in version.verdict.reasons if each.casefold() not in said]
    if "uplift" in demands:
        hurtful = {name: each for name, each in evaluations.items() if each.get("verdict") == HURTS}
        found += [f"{name} says that its images hurt a classifier{_where(each)}" for name, each in hurtful.items()]
    return found


def _where(evaluation: Mapping[str, Any]) -> str:
    """The sizes at which the whole interval of the difference of accuracy is below zero."""
    sizes = [
        f"{each['per_type']} photographs a type and {each['ratio']:g} times as many synthetic ones"
        for each in evaluation.get("differences", [])
        if each["accuracy"]["high"] < 0
    ]
    return f", with {'; '.join(sizes)}" if sizes else ""
