"""Brightness and severity of single images: right on pictures whose values are known, and the same in every batch."""

import numpy as np
import pytest
import torch
from tests.models.pictures import blots, streaks
from torch import Tensor

from flawsmith.models.quality.measured_attributes import (
    brightness,
    phases_randomized,
    rank_correlation,
    severity,
    severity_is_measurable,
)


def scratched(seed: int, side: int = 64, count: int = 40) -> tuple[Tensor, Tensor]:
    """Upright bright lines of random length and number on grain, (count, 1, side, side) uint8, and their masks."""
    random = np.random.default_rng(seed)
    pixels, masks = random.normal(120, 6, (count, side, side)), np.zeros((count, side, side), bool)
    for picture, mask in zip(pixels, masks, strict=True):
        for _ in range(random.integers(1, 5)):
            left, length = random.integers(3, side - 3), random.integers(side // 6, side)
            top = random.integers(0, side - length + 1)
            picture[top : top + length, left] += 90
            mask[top : top + length, left] = True
    return torch.from_numpy(pixels.round().clip(0, 255).astype(np.uint8))[:, None], torch.from_numpy(masks)


def test_brightness_is_the_mean_gray_value() -> None:
    images = torch.stack(
        [torch.zeros(3, 4, 4), torch.full((3, 4, 4), 255), torch.tensor([10, 20, 33])[:, None, None].expand(3, 4, 4)]
    ).byte()
    assert brightness(images).tolist() == [0, 255, 21]


@pytest.mark.parametrize("side", [32, 64, 128])
def test_severity_ranks_photographs_as_their_masks_do(side: int) -> None:
    images, masks = scratched(0, side)
    assert rank_correlation(severity(images), masks.double().mean((1, 2))) > 0.8


def test_an_even_surface_has_no_severity() -> None:
    flat = torch.full((2, 1, 64, 64), 128, dtype=torch.uint8)
    flat[1, :, ::2] += 1  # the last bit
    assert severity(flat).tolist() == [0, 0]
    grain = (128 + 20 * torch.randn(8, 1, 64, 64, generator=torch.Generator().manual_seed(0))).byte()
    assert severity(grain).max() < 0.01


def test_a_value_depends_on_its_image_alone() -> None:
    images, _ = scratched(1)
    together = severity(images)
    assert torch.equal(torch.cat([severity(each[None]) for each in images]), together)
    assert torch.equal(severity(images.flip(0)), together.flip(0))
    assert torch.equal(severity(images.rot90(1, (2, 3))), together)
    assert torch.equal(severity(255 - images), together)
    assert torch.equal(severity(images.expand(-1, 3, -1, -1)), together)


def test_without_masks_a_severity_must_be_above_that_of_textures() -> None:
    photographs, _ = scratched(2)
    assert severity_is_measurable(photographs, [None] * len(photographs))
    assert not severity_is_measurable(phases_randomized(photographs), [None] * len(photographs))
    assert not severity_is_measurable(streaks(0), [None] * 120)  # all over the picture
    assert not severity_is_measurable(photographs[:19], [None] * 19)


def test_masks_decide_where_they_are_known() -> None:
    photographs, masks = scratched(3)
    assert severity_is_measurable(photographs, list(masks))
    elsewhere = masks[severity(photographs).argsort()][severity(photographs).argsort(descending=True).argsort()]
    assert not severity_is_measurable(photographs, list(elsewhere))
    few: list[Tensor | None] = [*elsewhere[:19], *[None] * (len(masks) - 19)]
    assert severity_is_measurable(photographs, few)


def test_a_texture_keeps_brightness_and_contrast() -> None:
    photographs = blots(0)
    textures = phases_randomized(photographs)
    assert (brightness(photographs) - brightness(textures)).abs().max() < 2
    spread = [each.double().flatten(1).std(1) for each in (photographs, textures)]
    assert ((spread[0] - spread[1]) / spread[0]).abs().max() < 0.1
