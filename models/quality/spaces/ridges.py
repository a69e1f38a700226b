"""What lines and spots an image shows: responses of ridge filters, their direction, and the largest connected one."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.quality.controls import REMOVED, SMOOTHED, STATIC
from flawsmith.models.quality.random_features import BATCH, Features, weighted
from flawsmith.models.quality.space import Lesson, Space, at_once
from flawsmith.models.quality.wiping import blurred

SCALES = ((1, 1.0), (2, 1.0), (2, 2.0))  # pixels averaged beforehand, and standard deviations of the filters in such
QUANTILES = (0.5, 0.9, 0.99, 0.999)
DIRECTIONS = 6  # sectors of 30 degrees
SPREAD = 64  # growth steps of a connected region
OUTSTANDING = 0.99  # quantile of the photographs' responses from which on a pixel belongs to an anomaly


class RidgeFeatures:
    """Quantiles of bright and dark ridges and blobs at three scales, shares of directions, and sizes of anomalies.

    A ridge's strength is the larger eigenvalue of the Hessian (Lindeberg 1998, doi:10.1023/A:1008097225773), a blob's
    the smaller one where both have the same sign. Directions are those of the structure tensor, weighted by its
    coherence.

    Args:
        reference: (M, C, side, side) uint8, the photographs that define scale and anomaly.

    Calling it with (N, C, side, side) uint8 gives (N, 44) float32.
    """

    def __init__(self, reference: Tensor) -> None:
        strengths = torch.cat([_ridges(gray, *SCALES[0])[0] for gray in _gray(reference)])
        self._threshold = strengths.flatten().kthvalue(int(OUTSTANDING * strengths.numel())).values.item()
        self._reference = self._found(reference)

    def __call__(self, images: Tensor) -> Tensor:
        return weighted(self._found(images), self._reference)

    def _found(self, images: Tensor) -> Tensor:
        return torch.cat([self._of(gray) for gray in _gray(images)])

    def _of(self, gray: Tensor) -> Tensor:
        found, ridges = [directions(gray)], [_ridges(gray, *scale) for scale in SCALES]
        for each in (strength for _, *strengths in ridges for strength in strengths):
            ordered = each.flatten(1).sort(1).values
            places = [round(share * (ordered.shape[1] - 1)) for share in QUANTILES]
            found.append(torch.log1p(ordered[:, places]))
        strong = ridges[0][0] > self._threshold
        share = strong.flatten(1).float().mean(1, keepdim=True)
        return torch.cat([*found, torch.log1p(100 * share), torch.log1p(100 * largest_region(strong))], 1)


def directions(gray: Tensor, sectors: int = DIRECTIONS) -> Tensor:
    """Shares of an image's lines in each sector of direction, the first about level: (N, sectors) float32.

    Args:
        gray: (N, 1, side, side) float32.
    """
    smooth = blurred(gray, 1.0)
    across, down = smooth[:, :, 1:-1, 2:] - smooth[:, :, 1:-1, :-2], smooth[:, :, 2:, 1:-1] - smooth[:, :, :-2, 1:-1]
    xx, yy, xy = (blurred(each, 2.0) for each in (across * across, down * down, across * down))
    weight = torch.hypot(xx - yy, 2 * xy).flatten(1)
    along = 0.5 * torch.atan2(2 * xy, xx - yy).flatten(1) + math.pi / 2  # of the line, at right angles to the gradient
    sector = (along / math.pi * sectors).round().long() % sectors
    sums = torch.zeros(len(gray), sectors).scatter_add_(1, sector, weight)
    return sums / sums.sum(1, keepdim=True).clamp_min(1e-6)


def largest_region(marked: Tensor) -> Tensor:
    """Share of the pixels in the largest connected region of marked ones: (N, 1) float32.

    At half the resolution, and with at most `SPREAD` pixels from its middle to its end.

    Args:
        marked: (N, 1, side, side) bool.
    """
    present = F.max_pool2d(marked.float(), 2)
    labels = present * (1 + torch.arange(present[0].numel()).view(1, 1, *present.shape[2:]))
    for _ in range(SPREAD):
        grown = F.max_pool2d(labels, 3, 1, 1) * present
        if torch.equal(grown, labels):
            break
        labels = grown
    numbers = labels.flatten(1).long()
    counts = torch.zeros(len(numbers), int(numbers.max()) + 1).scatter_add_(
        1, numbers, torch.ones_like(numbers).float()
    )
    counts[:, 0] = 0
    return counts.amax(1, keepdim=True) / numbers.shape[1]


def _gray(images: Tensor) -> list[Tensor]:
    return [each.float().mean(1, keepdim=True) for each in images.split(BATCH)]


def _ridges(gray: Tensor, averaged: int, scale: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Strength of any ridge, of bright ones, of dark ones and of blobs: (N, 1, H, W) each, in gray levels."""
    smooth = F.pad(blurred(F.avg_pool2d(gray, averaged), scale), (1, 1, 1, 1), "replicate")
    middle = smooth[:, :, 1:-1, 1:-1]
    xx = smooth[:, :, 1:-1, 2:] + smooth[:, :, 1:-1, :-2] - 2 * middle
    yy = smooth[:, :, 2:, 1:-1] + smooth[:, :, :-2, 1:-1] - 2 * middle
    xy = (smooth[:, :, 2:, 2:] + smooth[:, :, :-2, :-2] - smooth[:, :, 2:, :-2] - smooth[:, :, :-2, 2:]) / 4
    mean, spread = (xx + yy) / 2, torch.hypot((xx - yy) / 2, xy)
    high, low = scale**2 * (mean + spread), scale**2 * (mean - spread)
    bright, dark = (-low).clamp_min(0), high.clamp_min(0)
    blob = torch.where(high * low > 0, torch.minimum(high.abs(), low.abs()), torch.zeros_like(high))
    return torch.maximum(bright, dark), bright, dark, blob


def _prepare(lesson: Lesson) -> Features:
    return RidgeFeatures(lesson.images)


SPACES = (
    Space(
        name="ridges",
        meaning="strength of lines and spots at three scales, their directions, and the largest connected anomaly",
        claims=(REMOVED, SMOOTHED, "blurred 2 px", "blurred 4 px", STATIC),
        prepare=at_once(_prepare),
        leads=True,
        paper="Lindeberg 1998, doi:10.1023/A:1008097225773",
    ),
)
