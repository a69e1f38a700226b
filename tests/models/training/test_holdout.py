"""Which photographs are held out."""

import torch

from flawsmith.models.training.holdout import FEWEST, holdout


def test_a_tenth_of_each_type_with_enough_photographs_is_held_out() -> None:
    type_index = torch.tensor([0] * 200 + [1] * (FEWEST - 1) + [2] * FEWEST)
    held_out = holdout(type_index, 3, seed=0)
    assert [int(held_out[type_index == each].sum()) for each in range(3)] == [20, 0, 10]


def test_the_seed_decides_which_photographs_are_held_out() -> None:
    type_index = torch.zeros(100, dtype=torch.int64)
    assert torch.equal(holdout(type_index, 1, 5), holdout(type_index, 1, 5))
    assert not torch.equal(holdout(type_index, 1, 5), holdout(type_index, 1, 6))
