"""The patch distance: which of two sets of images is nearer to the photographs."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.distance import PatchDistance

SIDE = 64


def photographs(seed: int, count: int = 40) -> Tensor:
    """Vertical streaks under grain, as uint8: (count, 1, SIDE, SIDE)."""
    random = torch.Generator().manual_seed(seed)
    streaks = F.avg_pool2d(torch.randn(count, 1, 1, SIDE + 4, generator=random), (1, 5), 1).expand(-1, -1, SIDE, -1)
    grain = torch.randn(count, 1, SIDE, SIDE, generator=random)
    return (128 + 60 * streaks + 12 * grain).clamp(0, 255).to(torch.uint8)


def blurred(images: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(images.float(), (1, 1, 1, 1), "replicate"), 3, 1).to(torch.uint8)


def checkered(images: Tensor) -> Tensor:
    squares = (torch.arange(SIDE)[:, None] + torch.arange(SIDE)) % 2 * 30 - 15
    return (images.float() + squares).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("spoilt", [blurred, checkered, lambda images: images.transpose(2, 3)])
def test_other_photographs_are_nearer_than_spoilt_ones(spoilt: object) -> None:
    distance = PatchDistance(photographs(0))
    others = photographs(1)
    assert distance(others) < 0.5 * distance(spoilt(others))  # type: ignore[operator]


def test_one_image_repeated_is_farther_than_different_ones() -> None:
    distance, others = PatchDistance(photographs(0)), photographs(1)
    assert distance(others) < distance(others[:1].expand(40, -1, -1, -1))
