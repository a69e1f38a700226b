"""What can be measured of a single image that callers may choose: its brightness, and how much of it the anomaly takes.

Both are computed in whole numbers, so that an image has the same values in every batch and on every machine.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from flawsmith.models.quality.judged_photographs import FEWEST

POINTS = 64  # a picture's side
WINDOW = 5  # points: side of the square in which the spread of gray values is measured
LEAST_REACH = 2  # pixels from a window's middle to its edge: fewer than 25 pixels say little about their spread
CALM = 4  # the calmest quarter of the picture is taken for the surface
FACTOR = 2  # so many times the surface's spread and more is anomaly
LEAST_SPREAD = 1  # gray level: below, the surface is as flat as 8 bits can show

LEAST_CORRELATION = 0.3  # of the ranks of severities and masks
LEAST_SHARE = 0.9  # of the pairs of a photograph and a texture without places


def brightness(images: Tensor) -> Tensor:
    """The mean gray value, 0 … 255, of (N, C, side, side) uint8 images: (N,) float64."""
    return images.flatten(1).long().sum(1).double() / images[0].numel()


def severity(images: Tensor) -> Tensor:
    """The share of the picture that the anomaly takes, 0 … 1, of (N, C, side, side) uint8 images: (N,) float64.

    A pixel belongs to the anomaly where gray values around it spread `FACTOR` times as much as in the calm quarter of
    the same picture: at edges, lines, spots and rough places. An even area inside a large spot does not count.
    """
    channels, side = images.shape[1:3]
    reach = max(LEAST_REACH, side * WINDOW // (2 * POINTS))
    width = 2 * reach + 1
    places = torch.arange(-reach, side + reach).clamp(0, side - 1)
    gray = images.long().sum(1)[:, places][:, :, places]
    # The variance in each window, times the square of the window's area.
    spread = (width**2 * _sums(gray.square(), width) - _sums(gray, width).square()).flatten(1)
    calm = spread.kthvalue(max(1, spread.shape[1] // CALM), dim=1, keepdim=True).values
    least = (LEAST_SPREAD * channels * width**2) ** 2
    return (spread > FACTOR**2 * calm.clamp_min(least)).double().mean(1)


def severity_is_measurable(photographs: Tensor, masks: Sequence[Tensor | None]) -> bool:
    """Whether `severity` tells photographs of a type with a large defect from those with a small one.

    Where enough of them have masks, the ranks of both must agree. Elsewhere severities of photographs must be above
    those of textures with the same spectrum and random phases, which have no anomaly: crazing all over a picture has as
    little of a place as they have.

    Args:
        photographs: (N, C, side, side) uint8.
        masks: for each, the pixels that show the defect, (side, side) bool, or None.
    """
    if len(photographs) < FEWEST:
        return False
    severities = severity(photographs)
    known = [index for index, mask in enumerate(masks) if mask is not None]
    if len(known) >= FEWEST:
        sizes = torch.stack([mask.double().mean() for mask in masks if mask is not None])
        return rank_correlation(severities[known], sizes) >= LEAST_CORRELATION
    textures = severity(phases_randomized(photographs))
    return share_above(severities, textures) >= LEAST_SHARE


def phases_randomized(images: Tensor) -> Tensor:
    """Textures with the spectra of (N, C, side, side) uint8 images and random phases, uint8."""
    random = torch.Generator().manual_seed(0)
    spectra = torch.fft.rfft2(images.double())
    noise = torch.fft.rfft2(torch.randn(images.shape, generator=random, dtype=torch.float64))
    mixed = torch.polar(spectra.abs(), noise.angle())
    mixed[..., 0, 0] = spectra[..., 0, 0]  # the mean
    textures: Tensor = torch.fft.irfft2(mixed, s=images.shape[-2:])
    return textures.round().clamp(0, 255).byte()


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's, -1 … 1, of two (N,) tensors; 0 where all values of one are equal."""
    return torch.corrcoef(torch.stack([_ranks(first), _ranks(second)]))[0, 1].nan_to_num(0.0).item()


def share_above(first: Tensor, second: Tensor) -> float:
    """The share of pairs in which the value of (N,) is above that of (M,); equal ones count half."""
    difference = first[:, None] - second
    return ((difference > 0).double() + 0.5 * (difference == 0).double()).mean().item()


def _sums(values: Tensor, width: int) -> Tensor:
    """The sum in each square of this width: (N, H, W) int64 -> (N, H - width + 1, W - width + 1)."""
    sums: Tensor = torch.nn.functional.pad(values, (1, 0, 1, 0)).cumsum(1).cumsum(2)
    return sums[:, width:, width:] - sums[:, :-width, width:] - sums[:, width:, :-width] + sums[:, :-width, :-width]


def _ranks(values: Tensor) -> Tensor:
    """Equal values share their mean rank."""
    return (values[:, None] > values).double().sum(1) + 0.5 * (values[:, None] == values).double().sum(1)
