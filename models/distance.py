"""How far generated images are from photographs: sliced Wasserstein distance of Laplacian pyramid patches.

Karras et al. 2018 (Progressive Growing of GANs, section 5), without features of another network and so without a
download: every level of the pyramid sees structure of one size, from grain to the whole image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 7  # pixels a side
PATCHES = 4096  # compared at each level
PROJECTIONS = 64
SMALLEST_LEVEL = 16  # pixels a side
LARGEST_SET = 256  # photographs looked at


class PatchDistance:
    """Distance of image sets to one set of photographs, the same for the same images: nothing is drawn anew.

    Args:
        photographs: (N, C, H, W) uint8, H and W at least 16.
    """

    def __init__(self, photographs: Tensor) -> None:
        self._random = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(photographs), generator=self._random)[:LARGEST_SET]
        channels = photographs.shape[1]
        self._levels = []
        for level in _pyramid(_real_numbers(photographs[chosen])):
            directions = torch.randn(channels * PATCH * PATCH, PROJECTIONS, generator=self._random)
            directions /= directions.norm(dim=0)
            patches = _patches(level)
            spread = patches.std().clamp_min(1e-6)
            self._levels.append((directions, spread, (patches @ directions / spread).sort(dim=0).values))

    def __call__(self, images: Tensor) -> float:
        """Mean distance over levels, in standard deviations of the photographs' patches; 0 is the same patches.

        Args:
            images: (M, C, H, W) uint8 of the photographs' size.
        """
        distances = []
        for level, (directions, spread, ours) in zip(_pyramid(_real_numbers(images)), self._levels, strict=True):
            theirs = (_patches(level) @ directions / spread).sort(dim=0).values
            distances.append((ours - theirs).abs().mean())
        return float(torch.stack(distances).mean())


def _real_numbers(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


def _pyramid(images: Tensor) -> list[Tensor]:
    """What each halving takes away, the finest first, and what remains."""
    levels = []
    while images.shape[-1] > SMALLEST_LEVEL:
        smaller = F.avg_pool2d(images, 2)
        levels.append(images - F.interpolate(smaller, scale_factor=2, mode="bilinear"))
        images = smaller
    return [*levels, images]


def _patches(images: Tensor) -> Tensor:
    """`PATCHES` patches at places that are always the same: (PATCHES, C * PATCH * PATCH)."""
    random = torch.Generator().manual_seed(1)
    count, channels, height, width = images.shape
    which = torch.randint(count, (PATCHES,), generator=random)
    top = torch.randint(height - PATCH + 1, (PATCHES,), generator=random)
    left = torch.randint(width - PATCH + 1, (PATCHES,), generator=random)
    windows = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    return windows[which, :, top, left].reshape(PATCHES, channels * PATCH * PATCH)
