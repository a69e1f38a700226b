"""Which photographs are held out."""

import pytest
import torch
from torch import Tensor

from flawsmith.models.training.holdout import FEWEST, holdout

# Of 60, 20 and 50 photographs with seed 0, at commit b2444ae.
EARLIER_HOLDOUT = [2, 3, 19, 25, 31, 43, 44, 47, 48, 49, 82, 107, 110, 112, 116, 119, 122, 125, 127, 128]


def noise(count: int, side: int = 32, seed: int = 0) -> Tensor:
    """(count, 1, side, side) uint8: pictures of blurred noise, none like another."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand((count, 1, side // 4, side // 4), generator=random)
    return (255 * torch.nn.functional.interpolate(coarse, size=side, mode="bilinear")).to(torch.uint8)


def test_a_tenth_of_each_type_with_enough_photographs_is_held_out() -> None:
    type_index = torch.tensor([0] * 200 + [1] * (FEWEST - 1) + [2] * FEWEST)
    held_out = holdout(noise(len(type_index)), type_index, 3, seed=0)
    assert [int(held_out[type_index == each].sum()) for each in range(3)] == [20, 0, 10]


def test_the_seed_decides_which_photographs_are_held_out() -> None:
    images, type_index = noise(100), torch.zeros(100, dtype=torch.int64)
    assert torch.equal(holdout(images, type_index, 1, 5), holdout(images, type_index, 1, 5))
    assert not torch.equal(holdout(images, type_index, 1, 5), holdout(images, type_index, 1, 6))


def test_without_near_duplicates_the_holdout_is_that_of_earlier_releases() -> None:
    type_index = torch.tensor([0] * 60 + [1] * 20 + [2] * 50)
    held_out = holdout(noise(130), type_index, 3, seed=0).nonzero().squeeze(1).tolist()
    assert held_out == EARLIER_HOLDOUT


def test_two_exposures_of_one_part_are_on_the_same_side() -> None:
    parts = noise(60).float()
    random = torch.Generator().manual_seed(1)
    darker = (0.6 * parts + 2 * torch.randn(parts.shape, generator=random)).clamp(0, 255)
    gamma = 255 * (parts / 255) ** 1.4
    images = torch.cat([parts, darker, gamma]).to(torch.uint8)
    for seed in range(5):
        held_out = holdout(images, torch.zeros(180, dtype=torch.int64), 1, seed)
        assert torch.equal(held_out[:60], held_out[60:120]) and torch.equal(held_out[:60], held_out[120:])
        assert held_out.sum() == 18


def test_a_turned_copy_and_an_equal_photograph_are_near_duplicates_too() -> None:
    images = noise(60)
    images[1], images[3] = images[0], images[2].rot90(1, (1, 2)).flip(2)
    for seed in range(20):
        held_out = holdout(images, torch.zeros(60, dtype=torch.int64), 1, seed)
        assert held_out[0] == held_out[1] and held_out[2] == held_out[3]


def test_where_all_photographs_are_alike_none_counts_as_unseen() -> None:
    images = noise(1).repeat(60, 1, 1, 1)
    assert holdout(images, torch.zeros(60, dtype=torch.int64), 1, seed=0).sum() == 0


def test_a_type_of_very_many_photographs_is_not_searched_for_near_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    photographs = noise(FEWEST)
    photographs[1::2] = photographs[::2]  # two of each, which would stay together
    types = torch.zeros(len(photographs), dtype=torch.int64)
    together = holdout(photographs, types, 1, 0)
    monkeypatch.setattr("flawsmith.models.training.holdout.MOST_COMPARED", FEWEST - 1)
    apart = holdout(photographs, types, 1, 0)
    assert apart.sum() == together.sum() == 10
    assert torch.equal(together[::2], together[1::2])
    assert not torch.equal(apart[::2], apart[1::2])
