"""Splits off holdout photographs: never trained on, to choose the best checkpoint by."""

import torch
from torch import Tensor

SHARE = 0.1
FEWEST = 50  # photographs of a type from which on some are held out; below that, training needs every one
LEAST = 10  # held out of a type that has holdout photographs


def holdout(type_index: Tensor, types: int, seed: int) -> Tensor:
    """Which photographs are held out: (N,) int64 types -> (N,) bool, chosen at random within each type."""
    random, held_out = torch.Generator().manual_seed(seed), torch.zeros(len(type_index), dtype=torch.bool)
    for each in range(types):
        members = (type_index == each).nonzero().squeeze(1)
        if len(members) >= FEWEST:
            count = max(LEAST, int(SHARE * len(members)))
            held_out[members[torch.randperm(len(members), generator=random)[:count]]] = True
    return held_out
