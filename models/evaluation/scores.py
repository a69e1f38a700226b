"""How well a classifier does on photographs that it never saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """0 … 1 each; higher is better.

    Attributes:
        accuracy: share of the photographs whose type was found.
        macro_f1: F1, the harmonic mean of precision and recall, on average over the types.
        worst_recall: share of the photographs of a type whose type was found; that of the worst type.
    """

    accuracy: float
    macro_f1: float
    worst_recall: float


def scores(found: Tensor, truth: Tensor, types: int) -> Scores:
    """Scores of (N,) int64 types found, against the true ones; every type 0 … types - 1 occurs among these."""
    confusion = torch.zeros(types, types, dtype=torch.float64)
    confusion.index_put_((truth, found), torch.ones(len(truth), dtype=torch.float64), accumulate=True)
    right, of_type, called = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    return Scores(
        accuracy=(right.sum() / len(truth)).item(),
        macro_f1=(2 * right / (of_type + called)).mean().item(),
        worst_recall=(right / of_type).min().item(),
    )


def mean_scores(several: Sequence[Scores]) -> Scores:
    """Each score's mean."""
    return Scores(
        accuracy=fmean(each.accuracy for each in several),
        macro_f1=fmean(each.macro_f1 for each in several),
        worst_recall=fmean(each.worst_recall for each in several),
    )
