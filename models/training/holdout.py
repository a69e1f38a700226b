"""Splits off holdout photographs: never trained on, to choose the best checkpoint by."""

import torch
from torch import Tensor

from flawsmith.models.quality.memorization import near_duplicate_groups

SHARE = 0.1
FEWEST = 50  # photographs of a type from which on some are held out; below that, training needs every one
LEAST = 10  # held out of a type that has holdout photographs


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
