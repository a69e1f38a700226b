"""What the nearest training photographs of images say about them: whether they are copies."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flawsmith.models.quality.memorization import IDENTICAL

GENUINE_NEARER = (
    0.01  # share of photographs that are nearer to another one than the distance that `CopyFigures.nearer` uses
)


@dataclass(frozen=True)
class Nearest:
    """The nearest training photograph of each of N images.

    Attributes:
        distance: (N,) float32, 0 … 2: Euclidean, of images of mean 0 and norm 1.
        second: (N,) float32, of the second nearest photograph.
        which: (N,) int64, the position of the nearest one.
        symmetry: (N,) int64, 0 … 7, that it was compared under; see `turned`.
    """

    distance: Tensor
    second: Tensor
    which: Tensor
    symmetry: Tensor


def turned(images: Tensor, symmetry: int) -> Tensor:
    """(N, C, side, side) images of any dtype under one of eight flips and quarter turns, 0 … 7; 0 changes nothing."""
    flip, quarters = divmod(symmetry, 4)
    return torch.rot90(images.flip(3) if flip else images, quarters, (2, 3))


@dataclass(frozen=True)
class CopyFigures:
    """Whether images copy the training photographs. Each figure is a share of the images, 0 … 1.

    Attributes:
        authenticity: farther from their nearest photograph than that one is from its own nearest (Alaa et al. 2021,
            arXiv:2102.08921, section 3.3). Copies have 0, photographs never trained on about a half.
        memorization_rate: nearer to one photograph, compared with the second nearest, than any genuine photograph, and
            nearer than it is to any other one; None where the photographs are too few to say what a genuine one does.
        nearer: nearer to a training photograph than `GENUINE_NEARER` of the genuine photographs are.
    """

    authenticity: float
    memorization_rate: float | None
    nearer: float


def copy_figures(images: Nearest, among: Nearest, genuine: Nearest) -> CopyFigures:
    """The figures of images, or of photographs never trained on, to compare the figures with.

    Args:
        images: their nearest training photographs.
        among: the training photographs' nearest others.
        genuine: of photographs never trained on; of ``among`` where none were held out.
    """
    different = genuine.distance > IDENTICAL
    ratios = (genuine.distance / genuine.second.clamp_min(1e-9))[different]
    allowed = ratios.min().item() if len(ratios) > 1 else None
    ours = images.distance / images.second.clamp_min(1e-9)
    authentic = images.distance > among.distance[images.which]
    limit = genuine.distance.quantile(GENUINE_NEARER).item()
    return CopyFigures(
        authenticity=authentic.float().mean().item(),
        memorization_rate=None if allowed is None else ((ours < allowed) & ~authentic).float().mean().item(),
        nearer=(images.distance < limit).float().mean().item(),
    )
