"""How often a property of images lies in each of several ranges, among photographs and among samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flawsmith.models.quality.classifier_test import wilson_interval
from flawsmith.models.quality.orientation import dominant_directions

DIRECTION_WIDTH = 30.0  # degrees; the first range is about level
MOST_RANGES = 10  # of brightness
COMMON = 0.03  # share of photographs from which on it matters that samples lack a range


@dataclass(frozen=True)
class RangeShare:
    """How many of ``photographs_n`` photographs and of ``samples_n`` samples lie in the range low … high.

    A direction's range may wrap: 165 … 15 is about level.
    """

    low: float
    high: float
    photographs: float
    samples: float
    photographs_n: int
    samples_n: int

    @property
    def lacking(self) -> bool:
        """Whether samples have less than half of the photographs' share, beyond the uncertainty of both."""
        if self.photographs < COMMON or self.samples >= self.photographs / 2:
            return False
        least, _ = wilson_interval(round(self.photographs * self.photographs_n), self.photographs_n)
        _, most = wilson_interval(round(self.samples * self.samples_n), self.samples_n)
        return most < least


def direction_shares(photographs: Tensor, samples: Tensor) -> list[RangeShare]:
    """Shares of the dominant directions, degrees counter-clockwise from level, in ranges about level, 30, 60 ….

    Images without a direction are in no range, so the shares of a side sum to less than 1.

    Args:
        photographs, samples: (N, C, side, side), (M, C, side, side) uint8.
    """
    ranges = direction_ranges()
    shares = [share_by_direction(each) for each in (photographs, samples)]
    return _paired(ranges, shares, photographs, samples)


def direction_ranges() -> list[tuple[float, float]]:
    """Degrees counter-clockwise from level: about level (165 … 15), about 30, about 60 …."""
    width = DIRECTION_WIDTH
    return [((each - 0.5) * width % 180, (each + 0.5) * width) for each in range(int(180 / width))]


def share_by_direction(images: Tensor) -> Tensor:
    """The share of images, (N, C, side, side) uint8, whose direction is in each of `direction_ranges`."""
    directions, directed = dominant_directions(images)
    width, count = DIRECTION_WIDTH, len(direction_ranges())
    index = ((directions + width / 2) % 180 / width).long()
    return torch.bincount(index[directed], minlength=count) / len(images)


def lacking_directions(shares: Sequence[RangeShare]) -> list[tuple[str, RangeShare]]:
    """Which of level, upright and slanted the samples lack, of the ranges of `direction_shares`."""
    upright = len(shares) // 2
    named = {"level": [0], "upright": [upright], "slanted": [each for each in range(1, len(shares)) if each != upright]}
    groups = [(name, _together([shares[each] for each in which])) for name, which in named.items()]
    return [(name, group) for name, group in groups if group.lacking]


def brightness_shares(photographs: Tensor, samples: Tensor) -> list[RangeShare]:
    """Shares of the mean gray values, 0 … 255, in at most `MOST_RANGES` ranges of equal width.

    Args:
        photographs, samples: (N, C, side, side), (M, C, side, side) uint8.
    """
    means = [images.float().flatten(1).mean(1) for images in (photographs, samples)]
    least, most = (min(each.min().item() for each in means), max(each.max().item() for each in means))
    width = next(each for each in (2, 4, 8, 16, 32) if _ranges(least, most, each) <= MOST_RANGES)
    first, count = math.floor(least / width), _ranges(least, most, width)
    ranges = [(float(first + each) * width, float(first + each + 1) * width) for each in range(count)]
    shares = [torch.bincount((each / width).long() - first, minlength=count) / len(each) for each in means]
    return _paired(ranges, shares, photographs, samples)


def _together(shares: Sequence[RangeShare]) -> RangeShare:
    """The share of several ranges, from the first to the last of them."""
    first, last = shares[0], shares[-1]
    sums = sum(each.photographs for each in shares), sum(each.samples for each in shares)
    return RangeShare(first.low, last.high, *sums, first.photographs_n, first.samples_n)


def _ranges(least: float, most: float, width: int) -> int:
    return math.floor(most / width) - math.floor(least / width) + 1


def _paired(
    ranges: Sequence[tuple[float, float]], shares: Sequence[Tensor], photographs: Tensor, samples: Tensor
) -> list[RangeShare]:
    ours, theirs = (each.tolist() for each in shares)
    counts = len(photographs), len(samples)
    return [RangeShare(*each, mine, other, *counts) for each, mine, other in zip(ranges, ours, theirs, strict=True)]
