"""Masks: whether a picture looks like one, and the rectangles around the defects that it marks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FEW_LEVELS = 32  # gray levels of a mask; palettes of types have few
NEAR_EXTREME = 16  # a mask that was saved as JPEG has levels this near to black and white …
SHARE_NEAR_EXTREMES = 0.95  # … in this share of its pixels
MAX_RUNS = 100_000  # rows' pieces of a mask that are joined to defects; a busier mask counts as one defect

Rectangle = tuple[float, float, float, float]
"""x, y, width, height in pixels."""


@dataclass(frozen=True)
class MaskLook:
    """Whether a picture looks like a mask, and whether it marks nothing."""

    like_mask: bool
    empty: bool


def look_of(image: Image.Image) -> MaskLook:
    counts = np.array(image.convert("L").histogram())
    levels = np.flatnonzero(counts)
    extreme = counts[:NEAR_EXTREME].sum() + counts[-NEAR_EXTREME:].sum()
    like_mask = len(levels) <= FEW_LEVELS or extreme >= SHARE_NEAR_EXTREMES * counts.sum()
    return MaskLook(like_mask, empty=not marked(image).any())


def marked(image: Image.Image) -> NDArray[np.bool_]:
    """The pixels that a mask marks, (H, W): all that are not black, or those above middle gray in a lossy mask."""
    gray = np.asarray(image.convert("L"))
    few = len(np.unique(gray)) <= FEW_LEVELS
    return gray > 0 if few and gray.max(initial=0) < NEAR_EXTREME else gray >= (NEAR_EXTREME if few else 128)


def rectangles(pixels: NDArray[np.bool_]) -> list[Rectangle]:
    """The rectangles around each connected group of marked pixels; pixels that touch at a corner are connected."""
    rows, starts, ends = _runs(pixels)
    if not len(rows):
        return []
    groups = _groups(rows, starts, ends) if len(rows) <= MAX_RUNS else np.zeros(len(rows), np.int64)
    found: list[Rectangle] = []
    for group in np.unique(groups):
        members = groups == group
        left, right = int(starts[members].min()), int(ends[members].max())
        top, bottom = int(rows[members].min()), int(rows[members].max()) + 1
        found.append((left, top, right - left, bottom - top))
    return found


def _runs(pixels: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The row, first column and column after the last of every unbroken piece of a row."""
    edges = np.diff(np.pad(pixels, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return rows, starts, ends


def _groups(rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each run, the same for connected ones."""
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    above = 0
    for run in range(len(rows)):
        while rows[above] < rows[run] - 1 or (rows[above] == rows[run] - 1 and ends[above] < starts[run]):
            above += 1
        other = above
        while other < run and rows[other] == rows[run] - 1 and starts[other] <= ends[run]:
            parent[root(other)] = root(run)
            other += 1
    return np.array([root(run) for run in range(len(rows))])
