"""How near images are to single training photographs, compared in pixels."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

IDENTICAL = 0.01  # distance of two images, 0 … 2, up to which they count as the same photograph


def nearest_distances(images: Tensor, training: Tensor) -> Tensor:
    """Distance of each image to its nearest and second nearest training photograph: (N, 2) float32, 0 … 2.

    Euclidean distance between images of mean 0 and norm 1, the minimum over the photograph's flips and quarter turns:
    a rotated or brightened copy is still a copy.

    Args:
        images: (N, C, side, side) uint8.
        training: (M, C, side, side) uint8, M > 1.
    """
    return _symmetric_distances(images, training).topk(2, dim=1, largest=False).values


def authenticity(images: Tensor, training: Tensor) -> float:
    """Share of images that are farther from their nearest photograph than it is from its own nearest.

    Alaa et al. 2021, arXiv:2102.08921, section 3.3, in the distances of `nearest_distances`. Holdout photographs score
    about a half, copies 0.

    Args:
        images: (N, C, side, side) uint8.
        training: (M, C, side, side) uint8, M > 1.
    """
    nearest, which = _symmetric_distances(images, training).min(1)
    among = _symmetric_distances(training, training).fill_diagonal_(math.inf).min(1).values
    return (nearest > among[which]).float().mean().item()


def min_nn_ratio(training: Tensor, holdout: Tensor) -> float:
    """The smallest ratio of nearest to second nearest distance, 0 … 1, that a genuine photograph has.

    Duplicates of training photographs are ignored.

    Args:
        training: (M, C, side, side) uint8, M > 1.
        holdout: (K, C, side, side) uint8, photographs never trained on. If K is 0, each training photograph is
            compared with the others.

    Returns:
        The ratio; 0 where too few different photographs are left to compare.
    """
    if len(holdout):
        nearest = nearest_distances(holdout, training)
    else:
        among = _symmetric_distances(training, training).fill_diagonal_(math.inf)
        nearest = among.topk(2, dim=1, largest=False).values
    others = nearest[nearest[:, 0] > IDENTICAL]
    return _ratio(others).min().item() if len(others) else 0.0


def memorization_rate(images: Tensor, training: Tensor, allowed: float) -> float:
    """Share of images that are nearer to one training photograph than any genuine photograph is.

    The criterion is the ratio of the distances to the nearest and the second nearest photograph: a copy is far nearer
    to one photograph than to any other.

    Args:
        images: (N, C, side, side) uint8.
        training: (M, C, side, side) uint8, M > 1.
        allowed: the ratio below which an image is a copy, see `min_nn_ratio`.
    """
    return (_ratio(nearest_distances(images, training)) < allowed).float().mean().item()


def _ratio(distances: Tensor) -> Tensor:
    return distances[:, 0] / distances[:, 1].clamp_min(1e-9)


def _symmetric_distances(images: Tensor, training: Tensor) -> Tensor:
    """(N, M) float32, the minimum over the eight flips and quarter turns of each training photograph."""
    ours = _normalised(images)
    turned = [torch.rot90(each, quarters, (2, 3)) for each in (training, training.flip(3)) for quarters in range(4)]
    return torch.stack([torch.cdist(ours, _normalised(each)) for each in turned]).amin(0)


def _normalised(images: Tensor) -> Tensor:
    values = images.flatten(1).float()
    return F.normalize(values - values.mean(1, keepdim=True), dim=1)
