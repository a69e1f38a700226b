"""How good generated images are: figures on two sets of images.

None of them means much alone. Each is to be read beside what it says of photographs against other photographs.
Images are uint8, so what a generator made beyond black and white is clamped before it is measured.
"""

import math
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

NEIGHBOURS = 5  # k of density and coverage
THE_SAME = 0.01  # distance of images, 0 … 2, up to which they are one photograph
LOWEST_POWER = 1e-12  # of a band, on values 0 … 1: below any that bytes can have but those of a plain image


def density_and_coverage(real: Tensor, fake: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """How densely fakes lie where photographs do, and which share of the photographs has a fake near it.

    Naeem et al. 2020, arXiv:2002.09797, eq. 5 and 6. Near a photograph is nearer than its k-th other photograph. For
    two sets of the same distribution and size N density is 1 and coverage 1 - 2^-k for large N. Density can be greater
    than 1; coverage grows with the number of fakes, so take as many as there are photographs.

    Args:
        real: (N, D) float features of photographs, N > k.
        fake: (M, D).
        neighbours: k.
    """
    own = torch.cdist(real, real).fill_diagonal_(math.inf)
    radii = own.kthvalue(neighbours, dim=1).values
    near = torch.cdist(real, fake) < radii[:, None]
    return near.sum().item() / (neighbours * len(fake)), near.any(1).float().mean().item()


def mmd_poly(real: Tensor, fake: Tensor) -> float:
    """Squared maximum mean discrepancy with the kernel (a.b / D + 1)^3, unbiased, so it may fall below 0.

    Gretton et al. 2012, "A Kernel Two-Sample Test", eq. 3; as KID: Binkowski et al. 2018, arXiv:1801.01401, section 4.

    Args:
        real: (N, D) float features of photographs, N > 1; standardised.
        fake: (M, D), M > 1.
    """
    real, fake = real.double(), fake.double()
    within = sum(_mean_of_pairs(_kernel(each, each)) for each in (real, fake))
    return float(within - 2 * _kernel(real, fake).mean().item())


def energy_distance(real: Tensor, fake: Tensor) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'|, unbiased, so it may fall below 0; in the features' unit.

    Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018. One far image moves it far less than `mmd_poly`, so
    it is the steadier on few images.

    Args:
        real: (N, D) float features of photographs, N > 1.
        fake: (M, D), M > 1.
    """
    return 2 * torch.cdist(real, fake).mean().item() - mean_distance([real]) - mean_distance([fake])


def mean_distance(parts: Sequence[Tensor]) -> float:
    """E|x - x'| of two different members of a set whose parts, such as types, (N, D) each, N > 1, count alike."""
    return fmean(
        (F.pdist(one) if one is other else torch.cdist(one, other)).mean().item() for one in parts for other in parts
    )


def radial_power_spectrum(images: Tensor) -> Tensor:
    """log10 of the power at each whole spatial frequency, from 1 cycle a side to Nyquist's: (side // 2,) float32.

    Each image's own logarithm, then their mean: a few bright images do not hide what most are like. Power is that of
    the brightness, averaged over directions, under a Hann window, since images do not go on at their borders.

    Args:
        images: (N, C, side, side) uint8.
    """
    side = images.shape[-1]
    window = torch.hann_window(side, periodic=False)
    gray = images.float().mean(1) / 255
    waves = (gray - gray.mean((1, 2), keepdim=True)) * torch.outer(window, window)
    power = torch.fft.fft2(waves).abs().square() / side**2
    frequency = torch.fft.fftfreq(side) * side
    band = torch.hypot(frequency[:, None], frequency).round().long().flatten()
    inside = (band >= 1) & (band <= side // 2)
    sums = torch.zeros(len(images), side // 2 + 1).index_add_(1, band[inside], power.flatten(1)[:, inside])
    counts = torch.bincount(band[inside], minlength=side // 2 + 1)
    return (sums[:, 1:] / counts[1:]).clamp_min(LOWEST_POWER).log10().mean(0)


def spectrum_distance(real: Tensor, fake: Tensor) -> float:
    """The largest difference of two sets' `radial_power_spectrum` at any frequency, in decades."""
    return (radial_power_spectrum(real) - radial_power_spectrum(fake)).abs().max().item()


def histogram_distance(real: Tensor, fake: Tensor) -> float:
    """Wasserstein-1 distance of two sets' gray values, in gray levels, 0 … 255.

    Args:
        real, fake: (N, C, H, W), (M, C, H, W) uint8; every channel's values count alike.
    """
    shares = [torch.bincount(each.flatten().long(), minlength=256) / each.numel() for each in (real, fake)]
    return (shares[0].cumsum(0) - shares[1].cumsum(0)).abs().sum().item()


def nearest_distances(images: Tensor, training: Tensor) -> Tensor:
    """Distance of each image to its nearest and its second nearest photograph of a set: (N, 2) float32, 0 … 2.

    Euclidean between images of mean 0 and norm 1, the least over the photograph's flips and quarter turns, so that
    neither a turn nor another brightness makes a copy look new.

    Args:
        images: (N, C, side, side) uint8.
        training: (M, C, side, side) uint8, M > 1.
    """
    return _symmetric_distances(images, training).topk(2, dim=1, largest=False).values


def authenticity(images: Tensor, training: Tensor) -> float:
    """Share of images that are farther from their nearest photograph than it is from its own nearest.

    Alaa et al. 2021, arXiv:2102.08921, section 3.3, in the distances of `nearest_distances`. Photographs that were kept
    aside score about a half; copies score 0.

    Args:
        images: (N, C, side, side) uint8.
        training: (M, C, side, side) uint8, M > 1.
    """
    nearest, which = _symmetric_distances(images, training).min(1)
    among = _symmetric_distances(training, training).fill_diagonal_(math.inf).min(1).values
    return (nearest > among[which]).float().mean().item()


def min_nn_ratio(training: Tensor, holdout: Tensor) -> float:
    """The least ratio of distances to the nearest and the second nearest photograph trained on, 0 … 1, of any other.

    Args:
        training: (M, C, side, side) uint8, M > 2, of photographs trained on.
        holdout: (K, C, side, side) uint8, of photographs never trained on; where there are none, every photograph is
            compared with the others trained on. A photograph that is there twice tells nothing of others, and does not
            count.
    """
    if len(holdout):
        nearest = nearest_distances(holdout, training)
    else:
        among = _symmetric_distances(training, training).fill_diagonal_(math.inf)
        nearest = among.topk(2, dim=1, largest=False).values
    others = nearest[nearest[:, 0] > THE_SAME]
    return _ratio(others).min().item() if len(others) else 0.0


def memorization_rate(images: Tensor, training: Tensor, allowed: float) -> float:
    """Share of images that are nearer to one photograph than other photographs ever are.

    By the ratio of the distance to the nearest photograph and to the second nearest: a copy is far nearer to one than
    to any other.

    Args:
        images: (N, C, side, side) uint8.
        training: (M, C, side, side) uint8, M > 1, of photographs trained on.
        allowed: the ratio below which an image is a copy, see `min_nn_ratio`.
    """
    return (_ratio(nearest_distances(images, training)) < allowed).float().mean().item()


def _ratio(distances: Tensor) -> Tensor:
    return distances[:, 0] / distances[:, 1].clamp_min(1e-9)


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    return (first @ second.T / first.shape[1] + 1).pow(3)


def _mean_of_pairs(kernel: Tensor) -> float:
    """Mean over all pairs of different members."""
    count = len(kernel)
    return (kernel.sum() - kernel.trace()).item() / (count * (count - 1))


def _symmetric_distances(images: Tensor, training: Tensor) -> Tensor:
    """(N, M) float32, the least over the eight turns of each training image."""
    ours = _normalised(images)
    turns = [torch.rot90(each, turn, (2, 3)) for each in (training, training.flip(3)) for turn in range(4)]
    return torch.stack([torch.cdist(ours, _normalised(each)) for each in turns]).amin(0)


def _normalised(images: Tensor) -> Tensor:
    values = images.flatten(1).float()
    return F.normalize(values - values.mean(1, keepdim=True), dim=1)
