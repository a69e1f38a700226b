"""Photographs that show partly the same place, such as crops that were taken side by side from one strip of steel."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 40  # pixels at which photographs are compared
LEAST_OVERLAP = 0.25  # share of a photograph
BACKGROUND = 9  # pixels over which shading is averaged and taken away
MOST = 600  # photographs of a type: the time grows with the square of their number
CHANCE = 0.01  # that any two photographs without a common place are taken for overlapping
LEAST_VARIANCE = 1e-3


def overlapping_pairs(photographs: Tensor) -> Tensor:
    """Pairs of photographs that overlap after a shift: (P, 2) int64.

    Of each pair, the highest correlation of the common part over all shifts (normalised cross-correlation, Padfield
    2012, doi:10.1109/TIP.2011.2181522). How high it is by chance is told by the same photographs and the mirror images
    of the others, which show no common place: a pair overlaps where it is above all of those, by a margin that only a
    share of `CHANCE` of such maxima exceeds (Gumbel's distribution).

    Args:
        photographs: (N, C, side, side) uint8, of one type; no pair is found among more than `MOST`.
    """
    if not 3 <= len(photographs) <= MOST:
        return torch.zeros(0, 2, dtype=torch.int64)
    images = _details(photographs)
    found, by_chance = _correlations(images, images), _correlations(images, images.flip(2))
    pairs = torch.triu_indices(len(images), len(images), 1)
    ours, others = (each[pairs[0], pairs[1]].clamp(-0.999999, 0.999999).atanh() for each in (found, by_chance))
    margin = others.std() * -math.log(CHANCE) / math.sqrt(2 * math.log(len(others)))
    return pairs[:, ours > others.max() + margin].T


def _details(photographs: Tensor) -> Tensor:
    """Gray values without shading, (N, SIDE, SIDE) float32."""
    gray = photographs.float().mean(1, keepdim=True)
    small = F.interpolate(gray, size=SIDE, mode="area") if gray.shape[-1] > SIDE else gray
    shading = F.avg_pool2d(small, BACKGROUND, 1, BACKGROUND // 2, count_include_pad=False)
    return (small - shading)[:, 0]


def _correlations(images: Tensor, others: Tensor) -> Tensor:
    """The highest correlation of each image's common part with each other image, (N, N); above the diagonal only."""
    count, side = len(images), images.shape[-1]
    size = (2 * side, 2 * side)
    whole = torch.fft.rfft2(torch.ones(side, side), s=size)
    area = torch.fft.irfft2(whole * whole.conj(), s=size).round().clamp_min(1)
    ours, theirs = torch.fft.rfft2(images, s=size), torch.fft.rfft2(others, s=size)
    our_sums = torch.fft.irfft2(ours * whole.conj(), s=size)
    their_sums = torch.fft.irfft2(whole * theirs.conj(), s=size)
    our_squares = torch.fft.irfft2(torch.fft.rfft2(images.square(), s=size) * whole.conj(), s=size)
    their_squares = torch.fft.irfft2(whole * torch.fft.rfft2(others.square(), s=size).conj(), s=size)
    our_spread = (our_squares - our_sums.square() / area).clamp_min(LEAST_VARIANCE).sqrt()
    their_spread = (their_squares - their_sums.square() / area).clamp_min(LEAST_VARIANCE).sqrt()
    enough = area >= LEAST_OVERLAP * side**2
    found = torch.zeros(count, count)
    for each in range(count - 1):
        rest = slice(each + 1, count)
        products = torch.fft.irfft2(ours[each] * theirs[rest].conj(), s=size)
        covariance = products - our_sums[each] * their_sums[rest] / area
        correlation = covariance / (our_spread[each] * their_spread[rest])
        found[each, rest] = correlation[:, enough].amax(1)
    return found
