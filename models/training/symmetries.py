"""Tests which flips are symmetries of a defect type: a two-sample test of photographs against flipped photographs.

Rolled steel has a direction. A GAN whose discriminator sees flipped images learns to make flipped ones, so a flip is
used only where a test finds no difference. The test is a randomisation test (Lehmann, Romano 2005, "Testing Statistical
Hypotheses", section 15.2): if flipping changes nothing, then swapping an image with its flipped copy does not change
the distribution, and the distance of the two sets is as large as after random swaps.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from flawsmith.models.quality.random_features import CombinedFeatures

# Photographs; with fewer, the test may miss a difference. A wrong flip is hard to see, but scratches across the rolling
# direction are wrong at a glance, and 50 of NEU's photographs could pass the test for transposition.
FEWEST = {"horizontal_flip": 20, "vertical_flip": 20, "transposition": 100}
MOST = 300  # photographs tested
RANDOMISATIONS = 400  # so the smallest p-value is 1 / 401
NOT_TESTED = -1.0
PENDING = -2.0  # not tested yet; until then as if the test could not run
LEVEL = 0.01  # a p-value below it rejects the symmetry

SYMMETRIES: dict[str, Callable[[Tensor], Tensor]] = {
    "horizontal_flip": lambda images: images.flip(3),
    "vertical_flip": lambda images: images.flip(2),
    "transposition": lambda images: images.transpose(2, 3).contiguous(),
}


def symmetry_p_values(photographs: Tensor) -> Tensor:
    """P-values of `SYMMETRIES` for photographs of one type: (3,) float64, `NOT_TESTED` where they are too few.

    Args:
        photographs: (N, C, side, side) uint8; the same photographs give the same p-values.
    """
    random = torch.Generator().manual_seed(0)
    chosen = photographs[torch.randperm(len(photographs), generator=random)[:MOST]]
    features = CombinedFeatures(chosen)
    original = features(chosen)
    p_values = [
        _p_value(original, features(flip(chosen)), random) if len(photographs) >= FEWEST[name] else NOT_TESTED
        for name, flip in SYMMETRIES.items()
    ]
    return torch.tensor(p_values, dtype=torch.float64)


def usable_symmetries(p_values: Tensor) -> Tensor:
    """Which symmetries may be used: (..., 3) p-values -> bool.

    If the test could not run, or has not yet, only the horizontal flip is enabled: it seldom harms.
    """
    default = torch.tensor([name == "horizontal_flip" for name in SYMMETRIES])
    return torch.where(p_values < 0, default, p_values >= LEVEL)


def _p_value(features: Tensor, flipped: Tensor, random: torch.Generator) -> float:
    """Of the hypothesis that the two members of each pair, (N, D) each, are exchangeable."""
    kernel = _kernel(torch.cat([features, flipped]))
    signs = 1.0 - 2.0 * (torch.rand(RANDOMISATIONS + 1, len(features), generator=random) < 0.5)
    signs[0] = 1.0  # the sets as they are
    signs = torch.cat([signs, -signs], 1)
    distances = ((signs @ kernel) * signs).sum(1)  # squared maximum mean discrepancy of the two sets, times N^2
    return (distances >= distances[0]).double().mean().item()


def _kernel(features: Tensor) -> Tensor:
    """Gaussian, with the median distance as its width (Gretton et al. 2012, "A Kernel Two-Sample Test", section 8)."""
    distances = torch.cdist(features, features)
    return torch.exp(-(distances / distances.median()).square() / 2)
