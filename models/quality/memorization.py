"""How near images are to single training photographs, compared in pixels."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

IDENTICAL = 0.01  # distance of two images, 0 … 2, up to which they count as the same photograph

DUPLICATE_RATIO = 0.5  # of the distance to a near-duplicate to that of the nearest photograph that is none
DUPLICATE_DISTANCE = 0.5  # between near-duplicates at most; their pixels correlate by 0.875
MOST_COPIES = 7  # near-duplicates of one photograph
COMPARED_SIDE = 32  # pixels
COMPARED_AT_ONCE = 512
MOST_TURNED = 2000


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
    return _suspects(nearest_distances(images, training), allowed).float().mean().item()


def copied_share(images: Tensor, training: Tensor, allowed: float) -> float:
    """`memorization_rate` of those images only that are no authentic ones.

    A copy is also nearer to its photograph than that photograph is to any other one. Few photographs never trained on
    may by chance all be far from single ones; the ratio alone then takes ordinary images for copies.
    """
    distances = _symmetric_distances(images, training)
    nearest, which = distances.topk(2, dim=1, largest=False)
    suspects = _suspects(nearest, allowed).nonzero().squeeze(1)
    originals = which[suspects, 0]
    among = _symmetric_distances(training[originals], training)
    among[torch.arange(len(originals)), originals] = math.inf
    return (nearest[suspects, 0] < among.min(1).values).sum().item() / len(images)


def near_duplicate_groups(photographs: Tensor) -> Tensor:
    """Groups photographs that are near-duplicates of one another, such as two exposures of one part: (N,) int64.

    Two photographs are near-duplicates where each is far nearer to the other than to photographs outside its few
    nearest ones: the criterion of `memorization_rate`, for several copies. Photographs are compared at
    `COMPARED_SIDE` pixels. Flips and quarter turns are compared up to `MOST_TURNED` photographs; the time grows with
    the square of their number.

    Args:
        photographs: (N, C, side, side) uint8, of one type.

    Returns:
        A group's number for each photograph; alone in its group if it has no near-duplicate.
    """
    if len(photographs) < 3:
        return torch.arange(len(photographs))
    small = F.adaptive_avg_pool2d(photographs.float(), min(photographs.shape[-1], COMPARED_SIDE))
    most = min(MOST_COPIES, len(photographs) - 2)
    groups = torch.arange(len(photographs))
    copies: list[set[int]] = []
    equal: list[set[int]] = []
    for start in range(0, len(small), COMPARED_AT_ONCE):
        distances = _distances_to_all(small, start)
        nearest, which = distances.topk(most + 1, dim=1, largest=False)
        near = (nearest[:, :-1] < DUPLICATE_RATIO * nearest[:, 1:]) & (nearest[:, :-1] < DUPLICATE_DISTANCE)
        counts = [max(row.nonzero().flatten().tolist(), default=-1) + 1 for row in near]
        copies += [set(row[:count].tolist()) for row, count in zip(which, counts, strict=True)]
        equal += [set(row[alike].tolist()) for row, alike in zip(which, nearest <= IDENTICAL, strict=True)]
    for photograph, others in enumerate(copies):
        for other in others | equal[photograph]:
            if photograph in copies[other] or other in equal[photograph]:
                groups[groups == groups[other]] = groups[photograph].clone()
    return groups


def _distances_to_all(images: Tensor, start: int) -> Tensor:
    """Distances of the next `COMPARED_AT_ONCE` images to all, infinite to themselves."""
    some = images[start : start + COMPARED_AT_ONCE]
    if len(images) <= MOST_TURNED:
        distances = _symmetric_distances(some, images)
    else:
        distances = torch.cdist(normalised(some), normalised(images))
    rows = torch.arange(len(some))
    distances[rows, rows + start] = math.inf
    return distances


def _suspects(nearest: Tensor, allowed: float) -> Tensor:
    """Which images are far nearer to a photograph than to the next, (N, 2) distances -> (N,) bool.

    An image that is identical with two photographs has no such ratio, only rounding errors.
    """
    return (_ratio(nearest) < allowed) | ((nearest[:, 0] <= IDENTICAL) & (allowed > 0))


def _ratio(distances: Tensor) -> Tensor:
    return distances[:, 0] / distances[:, 1].clamp_min(1e-9)


def _symmetric_distances(images: Tensor, training: Tensor) -> Tensor:
    """(N, M) float32, the minimum over the eight flips and quarter turns of each training photograph."""
    ours = normalised(images)
    turned = [torch.rot90(each, quarters, (2, 3)) for each in (training, training.flip(3)) for quarters in range(4)]
    return torch.stack([torch.cdist(ours, normalised(each)) for each in turned]).amin(0)


def normalised(images: Tensor) -> Tensor:
    """(N, C, side, side) uint8 images as vectors of mean 0 and norm 1, (N, C * side**2) float32."""
    values = images.flatten(1).float()
    return F.normalize(values - values.mean(1, keepdim=True), dim=1)
