"""Whether photographs that are turned are still photographs of the same kind: a two-sample test on each turn.

Rolled steel has a direction. A GAN whose discriminator sees its images turned learns to make turned ones, so a turn may
be used only where it changes nothing that a test can see. The test is a randomisation test (Lehmann, Romano 2005,
"Testing Statistical Hypotheses", section 15.2): where turning changes nothing, which of an image and its turned copy
is called the turned one is a coin's choice, so the distance of the two sets is as large as under other coins.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from flawsmith.models.quality.random_features import LayoutFeatures, TextureFeatures, standardised

# Photographs; from fewer, the test may find no difference that there is. A flip that is wrong shows little, scratches
# that lie across the rolling direction are wrong at a glance; on 50 of NEU's photographs they could pass the test.
FEWEST = {"horizontal_flip": 20, "vertical_flip": 20, "transposition": 100}
MOST = 300  # photographs looked at
COINS = 400  # draws, so the smallest p-value is 1 / 401
UNTOLD = -1.0
LEVEL = 0.01  # p-values below say that turning changes something

SYMMETRIES: dict[str, Callable[[Tensor], Tensor]] = {
    "horizontal_flip": lambda images: images.flip(3),
    "vertical_flip": lambda images: images.flip(2),
    "transposition": lambda images: images.transpose(2, 3).contiguous(),
}


def symmetry_p_values(photographs: Tensor) -> Tensor:
    """Of each of `SYMMETRIES` on the photographs of one type: (3,) float64, `UNTOLD` where they are too few for it.

    Args:
        photographs: (N, C, side, side) uint8; the same give the same.
    """
    random = torch.Generator().manual_seed(0)
    chosen = photographs[torch.randperm(len(photographs), generator=random)[:MOST]]
    spaces = [space(chosen.shape[1], 0) for space in (TextureFeatures, LayoutFeatures)]
    known = [space(chosen) for space in spaces]

    def features(images: Tensor) -> Tensor:
        found = [standardised(space(images), real) for space, real in zip(spaces, known, strict=True)]
        return torch.cat([each / each.shape[1] ** 0.5 for each in found], 1)

    as_it_is = features(chosen)
    found = [
        _p_value(as_it_is, features(turn(chosen)), random) if len(photographs) >= FEWEST[name] else UNTOLD
        for name, turn in SYMMETRIES.items()
    ]
    return torch.tensor(found, dtype=torch.float64)


def usable_symmetries(symmetry_p_values: Tensor) -> Tensor:
    """(..., 3) -> bool: which turns may be used. Where it cannot be told, the horizontal flip may: it seldom harms."""
    usual = torch.tensor([turn == "horizontal_flip" for turn in SYMMETRIES])
    return torch.where(symmetry_p_values == UNTOLD, usual, symmetry_p_values >= LEVEL)


def _p_value(features: Tensor, turned: Tensor, random: torch.Generator) -> float:
    """Of the hypothesis that the two of each pair, (N, D) each, could change places."""
    kernel = _kernel(torch.cat([features, turned]))
    sides = 1.0 - 2.0 * (torch.rand(COINS + 1, len(features), generator=random) < 0.5)
    sides[0] = 1.0  # as it is
    sides = torch.cat([sides, -sides], 1)
    distances = ((sides @ kernel) * sides).sum(1)  # squared maximum mean discrepancy of the two sides, times N^2
    return (distances >= distances[0]).double().mean().item()


def _kernel(features: Tensor) -> Tensor:
    """Gaussian, as wide as the median distance (Gretton et al. 2012, "A Kernel Two-Sample Test", section 8)."""
    distances = torch.cdist(features, features)
    return torch.exp(-(distances / distances.median()).square() / 2)
