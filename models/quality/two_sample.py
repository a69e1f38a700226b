"""Distances between two sets of feature vectors: photographs and samples.

None of these figures means much alone. Read each beside its value for photographs against other photographs.
"""

import math
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

NEIGHBOURS = 5  # k of density and coverage


def density_and_coverage(real: Tensor, fake: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Measures how densely fakes lie among photographs, and the share of photographs with a fake nearby.

    Naeem et al. 2020, arXiv:2002.09797, eq. 5 and 6. "Nearby" is closer to a photograph than its k-th nearest other
    photograph. For two sets of size N from one distribution, density is 1 and coverage 1 - 2^-k for large N. Density
    can exceed 1. Coverage grows with the number of fakes, so use as many fakes as photographs.

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
    """Squared maximum mean discrepancy with the kernel (a.b / D + 1)^3; unbiased, so it may be negative.

    Gretton et al. 2012, "A Kernel Two-Sample Test", eq. 3. KID (Binkowski et al. 2018, arXiv:1801.01401, section 4) is
    the same estimator on Inception features; here the features are random.

    Args:
        real: (N, D) float features of photographs, N > 1; standardised.
        fake: (M, D), M > 1.
    """
    real, fake = real.double(), fake.double()
    within = sum(_mean_of_pairs(_polynomial_kernel(each, each)) for each in (real, fake))
    return float(within - 2 * _polynomial_kernel(real, fake).mean().item())


def energy_distance(real: Tensor, fake: Tensor) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'|, in the unit of the features; unbiased, so it may be negative.

    Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018. An outlier moves it far less than `mmd_poly`, so it is
    the steadier figure on few images.

    Args:
        real: (N, D) float features of photographs, N > 1.
        fake: (M, D), M > 1.
    """
    return 2 * torch.cdist(real, fake).mean().item() - mean_distance([real]) - mean_distance([fake])


def mean_distance(parts: Sequence[Tensor]) -> float:
    """E|x - x'| over pairs of different members of a set whose parts, such as defect types, have equal weight.

    Args:
        parts: (N, D) each, N > 1.
    """
    return fmean(
        (F.pdist(one) if one is other else torch.cdist(one, other)).mean().item() for one in parts for other in parts
    )


def _polynomial_kernel(first: Tensor, second: Tensor) -> Tensor:
    return (first @ second.T / first.shape[1] + 1).pow(3)


def _mean_of_pairs(kernel: Tensor) -> float:
    """Mean over all pairs of different members."""
    count = len(kernel)
    return (kernel.sum() - kernel.trace()).item() / (count * (count - 1))
