"""Which training photograph each image is nearest to, in pixels, over the photograph's flips and quarter turns."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.quality.memorization import IDENTICAL, normalised

COMPARED_SIDE = 64  # pixels
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


def nearest_photographs(images: Tensor, training: Tensor) -> Nearest:
    """Finds the nearest training photograph of each image. Large images are compared at `COMPARED_SIDE` pixels.

    Args:
        images: (N, C, side, side) uint8.
        training: (M, C, side, side) uint8, M > 1.
    """
    return _nearest(*_distances(_reduced(images), _reduced(training)))


def nearest_among(training: Tensor) -> Nearest:
    """Finds the nearest other photograph of each training photograph, (M, C, side, side) uint8, M > 2."""
    small = _reduced(training)
    distances, symmetry = _distances(small, small)
    return _nearest(distances.fill_diagonal_(math.inf), symmetry)


def _distances(ours: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each image to each photograph, (N, M) float32, and the symmetry that it is the least under."""
    vectors = normalised(ours)
    least = torch.full((len(ours), len(training)), math.inf)
    symmetry = torch.zeros(least.shape, dtype=torch.uint8)
    for each in range(8):  # one after another: all eight at once would take eight times the memory
        distances = torch.cdist(vectors, normalised(turned(training, each)))
        symmetry[distances < least] = each
        least = torch.minimum(least, distances)
    return least, symmetry


def _nearest(distances: Tensor, symmetry: Tensor) -> Nearest:
    two, which = distances.topk(2, dim=1, largest=False)
    return Nearest(two[:, 0], two[:, 1], which[:, 0], symmetry.gather(1, which[:, :1])[:, 0].long())


def _reduced(images: Tensor) -> Tensor:
    side = min(images.shape[-1], COMPARED_SIDE)
    return F.adaptive_avg_pool2d(images.float(), side)


@dataclass(frozen=True)
class CopyFigures:
    """Whether images copy the training photographs. Each figure is a share of the images, 0 … 1.

    Attributes:
        authenticity: farther from their nearest photograph than that one is from its own nearest (Alaa et al. 2021,
            arXiv:2102.08921, section 3.3). Copies have 0, photographs never trained on about a half.
        memorization_rate: nearer to one photograph, compared with the second nearest, than any genuine photograph;
            None where the photographs are too few to say what a genuine one does.
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
    limit = genuine.distance.quantile(GENUINE_NEARER).item()
    return CopyFigures(
        authenticity=(images.distance > among.distance[images.which]).float().mean().item(),
        memorization_rate=None if allowed is None else (ours < allowed).float().mean().item(),
        nearer=(images.distance < limit).float().mean().item(),
    )
