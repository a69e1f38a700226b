"""Which photographs are held out."""

import pytest
import torch
from torch import Tensor

from flawsmith.models.training.holdout import FEWEST, HoldoutRule, holdout, holdout_by_rule

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


def test_all_squares_of_a_photograph_are_on_the_same_side() -> None:
    photograph = torch.arange(120) // 3
    for seed in range(5):
        held_out = holdout(noise(120), torch.zeros(120, dtype=torch.int64), 1, seed, photograph)
        assert held_out.view(40, 3).sum(1).unique().tolist() == [0, 3]
        assert held_out.sum() == 12


def test_photographs_of_which_a_square_is_a_near_duplicate_are_on_the_same_side() -> None:
    images = noise(120)
    images[3], images[7] = images[2], images[5]  # of photographs 1 and 0, 2 and 1
    for seed in range(20):
        held_out = holdout(images, torch.zeros(120, dtype=torch.int64), 1, seed, torch.arange(120) // 3)
        assert len(held_out[:9].unique()) == 1


def test_photographs_of_one_square_each_are_held_out_as_in_earlier_releases() -> None:
    type_index = torch.tensor([0] * 60 + [1] * 20 + [2] * 50)
    held_out = holdout(noise(130), type_index, 3, seed=0, photograph=torch.arange(130) + 7)
    assert held_out.nonzero().squeeze(1).tolist() == EARLIER_HOLDOUT


def marked(count: int, *positions: int) -> torch.Tensor:
    """(count,) bool, true at these positions."""
    flags = torch.zeros(count, dtype=torch.bool)
    flags[list(positions)] = True
    return flags


def with_near_duplicates(parts: torch.Tensor) -> torch.Tensor:
    """The pictures, then a darker exposure of each."""
    random = torch.Generator().manual_seed(1)
    darker = (0.6 * parts.float() + 2 * torch.randn(parts.shape, generator=random)).clamp(0, 255)
    return torch.cat([parts, darker.to(torch.uint8)])


@pytest.mark.parametrize("squares", [1, 3])
@pytest.mark.parametrize("exposures", [1, 2])
def test_by_rule_photographs_of_one_type_are_held_out_as_in_earlier_releases(squares: int, exposures: int) -> None:
    images = noise(180) if exposures == 1 else with_near_duplicates(noise(90))
    type_index = torch.tensor([0] * 60 + [1] * 21 + [2] * 99)
    photograph = torch.arange(180) // squares
    for seed in range(5):
        earlier = holdout(images, type_index, 3, seed, photograph)
        assert torch.equal(holdout_by_rule(images, type_index, 3, seed, photograph, HoldoutRule()), earlier)
        assert earlier.any()


def test_squares_of_several_types_of_one_photograph_are_on_the_same_side() -> None:
    type_index, photograph = torch.arange(240) % 2, torch.arange(240) // 4  # two squares of each type
    for seed in range(5):
        held_out = holdout_by_rule(noise(240), type_index, 2, seed, photograph, HoldoutRule())
        assert held_out.view(60, 4).sum(1).unique().tolist() == [0, 4]
        assert [int(held_out[type_index == each].sum()) for each in (0, 1)] == [12, 12]
        earlier = holdout(noise(240), type_index, 2, seed, photograph).view(60, 4).sum(1)
        assert 2 in earlier.tolist()  # by type, as it was


def test_photographs_with_a_rare_type_stay_in_training() -> None:
    type_index, photograph = torch.zeros(120, dtype=torch.int64), torch.arange(120) // 2
    type_index[:80:2] = 1  # 40 squares: none of so few is held out
    held_out = holdout_by_rule(noise(120), type_index, 2, 0, photograph, HoldoutRule())
    assert not held_out[:80].any() and int(held_out.sum()) == 10


def test_what_is_kept_stays_held_out_with_its_new_near_duplicates_and_what_was_seen_does_not_count_as_unseen() -> None:
    images, type_index = noise(130), torch.zeros(130, dtype=torch.int64)
    images[125] = (0.6 * images[3].float() + 30).to(torch.uint8)  # a new exposure of one held out
    images[126] = (0.6 * images[10].float() + 30).to(torch.uint8)  # … and of one that was trained on
    kept = marked(130, 3, 7, 50)
    seen = marked(130, *range(100)) & ~kept
    for seed in range(5):
        held_out = holdout_by_rule(images, type_index, 1, seed, torch.arange(130), HoldoutRule(kept, seen))
        assert held_out[kept].all() and held_out[125]
        assert not held_out[seen].any() and not held_out[126]
        assert int(held_out.sum()) == 13 and int(held_out[100:].sum()) == 10


def test_a_type_too_small_for_a_holdout_keeps_what_is_held_out() -> None:
    images = noise(30)
    images[29] = images[2]
    kept = marked(30, 2)
    held_out = holdout_by_rule(
        images,
        torch.zeros(30, dtype=torch.int64),
        1,
        0,
        torch.arange(30),
        HoldoutRule(kept, marked(30, *range(20)) & ~kept),
    )
    assert held_out.nonzero().squeeze(1).tolist() == [2, 29]
