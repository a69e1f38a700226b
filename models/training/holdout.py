"""Which photographs of a run are kept aside: never trained on, to choose the best checkpoint by."""

import torch
from torch import Tensor

SHARE = 0.1
FEWEST = 50  # photographs of a type, from which on some are kept aside: of fewer, every one is needed
LEAST = 10  # of a type, where any are kept


def holdout(type_index: Tensor, types: int, seed: int) -> Tensor:
    """(N,) int64 -> (N,) bool, drawn by the seed within each type."""
    random, kept = torch.Generator().manual_seed(seed), torch.zeros(len(type_index), dtype=torch.bool)
    for each in range(types):
        members = (type_index == each).nonzero().squeeze(1)
        if len(members) >= FEWEST:
            count = max(LEAST, int(SHARE * len(members)))
            kept[members[torch.randperm(len(members), generator=random)[:count]]] = True
    return kept
