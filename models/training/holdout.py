"""Splits off holdout photographs: never trained on, to choose the best checkpoint by."""

import torch
from torch import Tensor

from flawsmith.models.quality.memorization import near_duplicate_groups

SHARE = 0.1
FEWEST = 50  # photographs of a type from which on some are held out; below that, training needs every one
LEAST = 10  # held out of a type that has holdout photographs
MOST_COMPARED = 20_000  # photographs of a type that are searched for near-duplicates; beyond, it would take minutes


def holdout(images: Tensor, type_index: Tensor, types: int, seed: int) -> Tensor:
    """Which photographs are held out, chosen at random within each type.

    Near-duplicates are held out together or not at all: the twin of a photograph that is trained on is not unseen.
    Types of more than `MOST_COMPARED` photographs are not searched for them.

    Args:
        images: (N, C, side, side) uint8.
        type_index: (N,) int64.
        types: how many there are.
        seed: decides the choice.

    Returns:
        (N,) bool.
    """
    random, held_out = torch.Generator().manual_seed(seed), torch.zeros(len(type_index), dtype=torch.bool)
    for each in range(types):
        members = (type_index == each).nonzero().squeeze(1)
        if len(members) >= FEWEST:
            count = max(LEAST, int(SHARE * len(members)))
            order = torch.randperm(len(members), generator=random)
            if len(members) > MOST_COMPARED:
                chosen = order[:count]
            else:
                chosen = whole_groups(order, near_duplicate_groups(images[members]), count)
            held_out[members[chosen]] = True
    return held_out


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
