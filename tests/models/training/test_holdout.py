"""Photographs that a run never trains on."""

import torch

from flawsmith.models.training.holdout import FEWEST, holdout


def test_a_tenth_of_each_type_that_has_enough() -> None:
    type_index = torch.tensor([0] * 200 + [1] * (FEWEST - 1) + [2] * FEWEST)
    kept = holdout(type_index, 3, seed=0)
    assert [int(kept[type_index == each].sum()) for each in range(3)] == [20, 0, 10]


def test_the_seed_decides_which() -> None:
    type_index = torch.zeros(100, dtype=torch.int64)
    assert torch.equal(holdout(type_index, 1, 5), holdout(type_index, 1, 5))
    assert not torch.equal(holdout(type_index, 1, 5), holdout(type_index, 1, 6))
