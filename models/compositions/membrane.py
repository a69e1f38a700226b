"""Surfaces that continue what surrounds a region: the solution of Laplace's equation with the surroundings as border.

Adding such a surface of differences to a patch is Poisson image editing (Pérez et al. 2003, doi:10.1145/882262.882269).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import linalg

from flawsmith.models.compositions.footprint import Values
from flawsmith.models.compositions.parts import Mask

MOST_UNKNOWNS = 4000  # a membrane is smooth: it is solved on a coarser grid where it has more pixels
BORDER = 3.0  # standard deviation in pixels of the smoothing that takes grain from the border


def smooth_outside(values: Values, known: Mask, deviation: float) -> Values:
    """Gaussian means of the known pixels around each pixel: (H, W, C). Far from known pixels, their mean."""
    weight = ndimage.gaussian_filter(known.astype(np.float32), deviation, mode="nearest")
    total = ndimage.gaussian_filter(values * known[:, :, None], (deviation, deviation, 0), mode="nearest")
    mean = values[known].mean(0)
    found: Values = (total + np.float32(1e-3) * mean) / (weight + np.float32(1e-3))[:, :, None]
    return found


def membrane(values: Values, known: Mask) -> Values:
    """The values where they are known, smoothed, and elsewhere their membrane: (H, W, C) float32.

    Args:
        values: (H, W, C); only known pixels are looked at.
        known: (H, W), at least one pixel.
    """
    border = smooth_outside(values, known, BORDER)
    unknown = int((~known).sum())
    step = int(np.ceil(np.sqrt(unknown / MOST_UNKNOWNS))) if unknown > MOST_UNKNOWNS else 1
    if step == 1:
        return _solved(border, known)
    coarse, coarse_known = _means(border, known, step)
    solved = _solved(coarse, coarse_known)
    rows, columns = (np.clip((np.arange(size) + 0.5) / step - 0.5, 0, None) for size in known.shape)
    grid = np.meshgrid(rows, columns, indexing="ij")
    fine = np.stack(
        [ndimage.map_coordinates(solved[:, :, each], grid, order=1, mode="nearest") for each in range(values.shape[2])],
        axis=2,
    )
    return np.where(known[:, :, None], border, fine.astype(np.float32))


def _solved(border: Values, known: Mask) -> Values:
    """Each unknown pixel becomes the mean of its neighbours; beyond the array there are none."""
    unknown = ~known
    if not unknown.any():
        return border
    number = np.full(known.shape, -1)
    number[unknown] = np.arange(unknown.sum())
    count = int(unknown.sum())
    diagonal = np.zeros(count)
    right = np.zeros((count, border.shape[2]))
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
        here = _inner(known.shape, axis, shift)
        there = _inner(known.shape, axis, -shift)
        mine, neighbour = number[here], number[there]
        of = mine >= 0
        np.add.at(diagonal, mine[of], 1)
        fixed = of & (neighbour < 0)
        np.add.at(right, mine[fixed], border[there][fixed])
        free = of & (neighbour >= 0)
        rows.append(mine[free])
        columns.append(neighbour[free])
    at = (np.concatenate(rows), np.concatenate(columns))
    matrix = sparse.diags(diagonal) - sparse.coo_matrix((np.ones(len(at[0])), at), (count, count))
    solved = linalg.splu(sparse.csc_matrix(matrix)).solve(right)
    whole = border.copy()
    whole[unknown] = solved
    return whole


def _inner(shape: tuple[int, ...], axis: int, shift: int) -> tuple[slice, slice]:
    """The pixels that have a neighbour `shift` further on."""
    chosen = slice(0, shape[axis] - 1) if shift > 0 else slice(1, shape[axis])
    return (chosen, slice(None)) if axis == 0 else (slice(None), chosen)


def _means(values: Values, known: Mask, step: int) -> tuple[Values, Mask]:
    """Blocks of `step` x `step` pixels: the means of their known pixels, and whether they have some."""
    extra = [(0, -size % step) for size in known.shape]
    weight = np.pad(known.astype(np.float32), extra)[:, :, None]
    padded = np.pad(values, [*extra, (0, 0)]) * weight
    height, width = (size // step for size in weight.shape[:2])
    counts = weight.reshape(height, step, width, step, 1).sum((1, 3))
    sums = padded.reshape(height, step, width, step, -1).sum((1, 3))
    return (sums / np.maximum(counts, 1)).astype(np.float32), counts[:, :, 0] > 0
