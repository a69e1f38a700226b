"""Masks: whether a picture looks like one, and the rectangles around the defects that it marks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FEW_LEVELS = 32  # gray levels of a mask; palettes of types have few
NEAR_EXTREME = 16  # a mask that was saved as JPEG has levels this near to black and white …
SHARE_NEAR_EXTREMES = 0.95  # … in this share of its pixels
JPEG_NOISE = 8  # gray levels around black
WHITE = 255
MAX_RUNS = 20_000  # rows' pieces of a mask that are joined to defects; a busier mask counts as one defect …
MAX_DEFECTS = 1000  # … and so does one with more defects

Rectangle = tuple[float, float, float, float]
"""x, y, width, height in pixels."""


@dataclass(frozen=True)
class MaskLook:
    """How a picture looks if it is a mask.

    Attributes:
        like_mask: whether it looks like one.
        empty: whether it marks nothing.
        white: whether some of it is white.
        below_white: the highest gray level below white; 0 where there is none.
    """

    like_mask: bool
    empty: bool
    white: bool
    below_white: int


def look_of(gray_levels: Sequence[int]) -> MaskLook:
    """How a picture with so many pixels of each of the 256 gray levels looks."""
    counts = np.array(gray_levels)
    extreme = counts[:NEAR_EXTREME].sum() + counts[-NEAR_EXTREME:].sum()
    like_mask = np.count_nonzero(counts) <= FEW_LEVELS or extreme >= SHARE_NEAR_EXTREMES * counts.sum()
    return MaskLook(
        like_mask=bool(like_mask),
        empty=not counts[_least_marked(counts) :].any(),
        white=bool(counts[WHITE]),
        below_white=int(np.flatnonzero(counts[:WHITE]).max(initial=0)),
    )


def ignore_white(masks: Sequence[MaskLook]) -> bool:
    """Whether the levels of a set's masks number types or defects, and white is a sign to ignore pixels.

    It is a property of the set: one of its masks may show nothing but pixels to ignore.
    """
    numbered = any(each.white and each.below_white for each in masks)
    return numbered and all(each.below_white <= FEW_LEVELS for each in masks)


def marked(image: Image.Image) -> NDArray[np.bool_]:
    """The pixels that a mask marks, (H, W). A colour counts by its brightest channel: dark blue is no black."""
    levels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    levels = levels if levels.ndim == 2 else levels.max(axis=2)
    return levels >= _least_marked(np.bincount(levels.ravel(), minlength=WHITE + 1))


def without_white(mask: Image.Image) -> Image.Image:
    """A gray mask whose white pixels, which are to be ignored, are black."""
    return mask.point(lambda level: level if level < WHITE else 0)


def rectangles(pixels: NDArray[np.bool_]) -> list[Rectangle]:
    """The rectangles around each connected group of marked pixels; pixels that touch at a corner are connected."""
    rows, starts, ends = _runs(pixels)
    if not len(rows):
        return []
    groups = _groups(rows, starts, ends) if len(rows) <= MAX_RUNS else np.zeros(len(rows), np.int64)
    numbers, group = np.unique(groups, return_inverse=True)
    if len(numbers) > MAX_DEFECTS:
        numbers, group = numbers[:1], np.zeros_like(group)
    lows = np.full((2, len(numbers)), np.iinfo(np.int64).max)
    highs = np.zeros((2, len(numbers)), np.int64)
    for axis, (first, last) in enumerate(((starts, ends), (rows, rows + 1))):
        np.minimum.at(lows[axis], group, first)
        np.maximum.at(highs[axis], group, last)
    sides = highs - lows
    return [tuple(map(int, each)) for each in np.concatenate([lows, sides]).T]  # type: ignore[misc]


def _least_marked(counts: NDArray[np.int64]) -> int:
    """The lowest gray level that counts as marked: any but black where the levels number the types of defects."""
    levels = np.flatnonzero(counts)
    if len(levels) > FEW_LEVELS:
        return 128
    return JPEG_NOISE if levels[-1] >= 256 - NEAR_EXTREME else 1


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
