"""Photographs made worse: each in one way, and only in that."""

import pytest
import torch
from tests.models.pictures import SIDE, blots, streaks

from flawsmith.models.quality.controls import (
    BLURS,
    NOISY,
    SHIFTED,
    SHUFFLED,
    STATIC,
    WARPS,
    controls,
    modes,
)
from flawsmith.models.quality.wiping import MARGIN, defect_masks, filled

PHOTOGRAPHS = blots(0, 20)
MADE = controls(PHOTOGRAPHS, defect_masks(PHOTOGRAPHS))


def test_all_have_the_photographs_shape_and_the_same_photographs_give_the_same() -> None:
    again = controls(PHOTOGRAPHS, defect_masks(PHOTOGRAPHS))
    for name, worse in MADE.items():
        assert worse.shape == PHOTOGRAPHS.shape
        assert worse.dtype is torch.uint8
        assert torch.equal(worse, again[name])
        assert not torch.equal(worse, PHOTOGRAPHS)


def test_a_filled_defect_looks_like_its_surroundings_and_the_rest_stays() -> None:
    random = torch.Generator().manual_seed(0)
    images = (100 + 4 * torch.randn(6, 1, SIDE, SIDE, generator=random)).byte()
    masks = torch.zeros(6, SIDE, SIDE, dtype=torch.bool)
    masks[:, 10:13, 20:23] = True
    scarred = torch.where(masks[:, None], 250, images.int()).byte()
    wiped = filled(scarred, masks, 0).float()
    assert (wiped[:, 0][masks] - 100).abs().max() < 25
    assert 2 < wiped[:, 0][masks].std() < 7  # grain, not a smooth patch
    around = torch.nn.functional.max_pool2d(masks[:, None].float(), 2 * MARGIN + 1, 1, MARGIN) > 0
    assert torch.equal(wiped[~around], images.float()[~around])


def test_a_guessed_mask_lies_on_the_defect() -> None:
    images = torch.full((3, 1, SIDE, SIDE), 120.0) + 3 * torch.randn(3, 1, SIDE, SIDE, generator=torch.Generator())
    images[:, :, :, 14:16] += 80
    masks = defect_masks(images.byte())
    assert masks[:, :, 14:16].float().mean() > 0.9
    assert masks[:, :, :8].float().mean() < 0.1


def test_shuffled_patches_keep_every_gray_value_and_shifted_ones_their_differences() -> None:
    flat, shuffled = PHOTOGRAPHS.flatten(1), MADE[SHUFFLED].flatten(1)
    assert torch.equal(flat.sort(1).values, shuffled.sort(1).values)
    shift = MADE[SHIFTED].int() - PHOTOGRAPHS.int()
    assert shift.median() > 0
    assert (shift == shift.median()).float().mean() > 0.9


def test_blur_takes_contrast_away_step_by_step_and_noise_adds_it() -> None:
    contrast = [each.float().diff(dim=3).abs().mean().item() for each in (PHOTOGRAPHS, *(MADE[name] for name in BLURS))]
    assert contrast == sorted(contrast, reverse=True)
    assert MADE[NOISY].float().diff(dim=3).abs().mean() > contrast[0]


def test_static_has_the_photographs_gray_values_and_no_structure() -> None:
    photographs = streaks(0, 20)
    static = controls(photographs, defect_masks(photographs))[STATIC].float()
    assert abs(static.mean() - photographs.float().mean()) < 3
    assert abs(static.std() - photographs.float().std()) < 3
    assert static.mean(2).std() < 0.5 * photographs.float().mean(2).std()


def test_color_photographs_are_made_worse_as_well() -> None:
    color = PHOTOGRAPHS.expand(-1, 3, -1, -1).contiguous()
    assert all(worse.shape == color.shape for worse in controls(color, defect_masks(color)).values())


def test_modes_are_halves() -> None:
    assert modes(PHOTOGRAPHS).sum() == len(PHOTOGRAPHS) // 2


@pytest.mark.parametrize("name", WARPS)
def test_a_warp_moves_a_line_to_either_side_by_its_pixels(name: str) -> None:
    images = torch.full((20, 1, 64, 64), 40, dtype=torch.uint8)
    images[:, :, :, 31:34] = 200
    line = controls(images, torch.zeros(20, 64, 64, dtype=torch.bool))[name].float() - 40
    place = (line * torch.arange(64.0)).sum(3) / line.sum(3) - 32
    assert place.abs().max() == pytest.approx(WARPS[name], abs=0.15)
    assert place.mean().abs() < 0.1 * WARPS[name] + 0.02
