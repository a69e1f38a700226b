"""Splits off holdout photographs: never trained on, to choose the best checkpoint by."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flawsmith.models.quality.memorization import near_duplicate_groups

SHARE = 0.1
FEWEST = 50  # photographs of a type from which on some are held out; below that, training needs every one
LEAST = 10  # held out of a type that has holdout photographs


@dataclass(frozen=True)
class HoldoutRule:
    """What decides a holdout beside chance, in jobs since there are datasets that continue others.

    Attributes:
        kept: (N,) bool, squares that an earlier run held out: they stay held out, with their near-duplicates.
        seen: (N,) bool, squares that weights which this run starts from were trained on: they do not count as unseen.
            None of either: there are none.
    """

    kept: Tensor | None = None
    seen: Tensor | None = None


def holdout(images: Tensor, type_index: Tensor, types: int, seed: int, photograph: Tensor | None = None) -> Tensor:
    """Which photographs are held out, chosen at random within each type.

    Near-duplicates are held out together or not at all, and so are the squares of one photograph, which may overlap:
    the twin of a photograph that is trained on is not unseen.

    Args:
        images: (N, C, side, side) uint8.
        type_index: (N,) int64.
        types: how many there are.
        seed: decides the choice.
        photograph: (N,) int64, equal for the squares of one photograph; None where each is another one.

    Returns:
        (N,) bool.
    """
    photograph = torch.arange(len(images)) if photograph is None else photograph
    random, held_out = torch.Generator().manual_seed(seed), torch.zeros(len(type_index), dtype=torch.bool)
    for each in range(types):
        members = (type_index == each).nonzero().squeeze(1)
        if len(members) >= FEWEST:
            count = max(LEAST, int(SHARE * len(members)))
            order = torch.randperm(len(members), generator=random)
            groups = photograph_groups(images[members], photograph[members])
            held_out[members[whole_groups(order, groups, count)]] = True
    return held_out


def photograph_groups(images: Tensor, photograph: Tensor) -> Tensor:
    """Groups squares that are of one photograph, or of photographs of which a square is a near-duplicate: (N,) int64.

    Args:
        images: (N, C, side, side) uint8, of one type.
        photograph: (N,) int64, equal for the squares of one photograph.
    """
    groups, numbers = near_duplicate_groups(images), photograph.unique()
    if len(numbers) < len(photograph):
        for number in numbers:
            joined = groups[photograph == number].unique()
            groups[torch.isin(groups, joined)] = joined.min()
    return groups


def whole_groups(order: Tensor, groups: Tensor, count: int) -> Tensor:
    """The first members in this order, with the others of their groups, until there are ``count``.

    A group that would make them more than ``count`` stays in training, so that as many are held out as ever.
    """
    chosen: list[int] = []
    seen: set[int] = set()
    for member in order.tolist():
        group = int(groups[member])
        if len(chosen) >= count or group in seen:
            continue
        seen.add(group)
        together = (groups == group).nonzero().squeeze(1).tolist()
        if len(chosen) + len(together) <= count:
            chosen += together
    return torch.tensor(chosen, dtype=torch.int64)


def holdout_by_rule(
    images: Tensor, type_index: Tensor, types: int, seed: int, photograph: Tensor, rule: HoldoutRule
) -> Tensor:
    """Which squares are held out, as in `holdout`, and all squares of a photograph on one side, whatever their types.

    Where each photograph has squares of one type, and the rule says nothing, these are the ones of `holdout`.

    Args:
        images: (N, C, side, side) uint8.
        type_index: (N,) int64.
        types: how many there are.
        seed: decides the choice.
        photograph: (N,) int64, equal for the squares of one photograph.
        rule: what is held out already, and what must not be.

    Returns:
        (N,) bool.
    """
    random, none = torch.Generator().manual_seed(seed), torch.zeros(len(images), dtype=torch.bool)
    kept, seen = (none if each is None else each for each in (rule.kept, rule.seen))
    members = type_index.bincount(minlength=types).tolist()
    counts = torch.tensor([max(LEAST, int(SHARE * each)) if each >= FEWEST else 0 for each in members])
    asked = (counts > 0) | (type_index[kept].bincount(minlength=types) > 0)
    groups = _groups_of_types(images, photograph, [type_index == each for each in asked.nonzero().squeeze(1)])
    held_out = kept | (torch.isin(groups, groups[kept]) & ~seen)
    for each in counts.nonzero().squeeze(1).tolist():
        squares = (type_index == each).nonzero().squeeze(1)
        order = groups[squares[torch.randperm(len(squares), generator=random)]].tolist()
        for group in dict.fromkeys(order):
            if type_index[held_out].bincount(minlength=types)[each] >= counts[each]:
                break
            joining = groups == group
            if not (joining & (seen | held_out)).any() and _fits(held_out, joining, type_index, counts):
                held_out |= joining
    return held_out


def _fits(held_out: Tensor, joining: Tensor, type_index: Tensor, counts: Tensor) -> bool:
    """Whether squares, (N,) bool, may join those held out without making them too many of any of their types."""
    held, more = (type_index[each].bincount(minlength=len(counts)) for each in (held_out, joining))
    return bool((held + more <= counts)[more > 0].all())


def _groups_of_types(images: Tensor, photograph: Tensor, of_types: Sequence[Tensor]) -> Tensor:
    """Groups squares of one photograph, or of photographs of which a square is a near-duplicate: (N,) int64.

    Args:
        images: (N, C, side, side) uint8.
        photograph: (N,) int64.
        of_types: of each type in which near-duplicates are looked for, its squares, (N,) bool.
    """
    groups: Tensor = photograph.unique(return_inverse=True)[1]
    for each in of_types:
        alike = near_duplicate_groups(images[each])
        for number in alike[alike.bincount(minlength=len(alike))[alike] > 1].unique():
            joined = groups[each][alike == number].unique()
            groups[torch.isin(groups, joined)] = joined.min()
    return groups
