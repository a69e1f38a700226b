"""Crops of one strip are found by what they share; photographs of different places are not."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.evaluation.overlaps import overlapping_pairs

SIDE = 64


def surfaces(count: int, width: int, seed: int) -> Tensor:
    """Grain with upright lines, which every surface has: (count, 1, SIDE, width) uint8."""
    random = torch.Generator().manual_seed(seed)
    grain = F.avg_pool2d(torch.randn(count, 1, SIDE + 4, width + 4, generator=random), 5, 1)
    lines = F.avg_pool1d(torch.randn(count, 1, width + 2, generator=random), 3, 1)[:, :, None]
    return (120 + 90 * grain + 20 * lines).round().clamp(0, 255).byte()


def test_neighbouring_crops_of_a_strip_overlap_and_no_others() -> None:
    strips = surfaces(8, 148, 0)
    crops = torch.cat([strips[..., start : start + SIDE] for start in (0, 42, 84)])
    brighter = (crops.int() + 20 * (torch.arange(24) % 3)[:, None, None, None]).clamp(0, 255).byte()
    expected = {(strip + 8 * part, strip + 8 * (part + 1)) for strip in range(8) for part in range(2)}
    assert {(first, second) for first, second in overlapping_pairs(brighter).tolist()} == expected


def test_photographs_of_different_places_do_not_overlap() -> None:
    for seed in range(5):
        assert len(overlapping_pairs(surfaces(24, SIDE, seed))) == 0


def test_a_few_photographs_are_none() -> None:
    assert overlapping_pairs(surfaces(2, SIDE, 0)).shape == (0, 2)
