"""Masks: whether a picture looks like one, and the defects that it marks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
MAX_NUMBERS = 256  # of types or defects in one mask; more colours are a photograph's
VOC_VOID = (224, 224, 192)  # the colour of a border between defect and surface
MARKED = "#ffffff"  # the name of marked pixels that no number tells apart

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


def without_void(mask: Image.Image) -> Image.Image:
    """A mask in the colours of Pascal VOC whose border pixels, which are to be ignored, are black."""
    pixels = np.array(mask)
    pixels[(pixels == VOC_VOID).all(axis=2)] = 0
    return Image.fromarray(pixels)


def instances(image: Image.Image, *, lossy: bool, by_type: bool = False) -> tuple[NDArray[np.int32], list[str]]:
    """What tells defects of a mask apart that touch each other: its levels or colours.

    Args:
        image: a mask, gray or in colours.
        lossy: whether its file was, so that levels tell nothing apart.
        by_type: whether its levels are known to stand for types. Else gray levels count as numbers where they are
            small or without gaps: others may be the soft edge of a defect.

    Returns:
        Of each pixel a number (H, W), 0 where nothing is marked, and the names of the numbers from 1 on: "#rrggbb".
        Without numbers, all marked pixels are 1.
    """
    of_pixels = marked(image)
    if lossy or not of_pixels.any():
        return of_pixels.astype(np.int32), [MARKED] if of_pixels.any() else []
    colours = _colours(image)
    found = np.unique(colours[of_pixels])
    soft = image.mode == "L" and not by_type and int(found[-1]) & WHITE > max(FEW_LEVELS, len(found))
    if soft or len(found) > MAX_NUMBERS:
        return of_pixels.astype(np.int32), [MARKED]
    numbers = np.zeros(of_pixels.shape, np.int32)
    numbers[of_pixels] = np.searchsorted(found, colours[of_pixels]) + 1
    return numbers, [f"#{int(each):06x}" for each in found]


def _colours(image: Image.Image) -> NDArray[np.int32]:
    """Of each pixel its red, green and blue in one number, (H, W)."""
    if image.mode == "L":
        return np.asarray(image).astype(np.int32) * 0x010101
    red, green, blue = (np.asarray(each).astype(np.int32) for each in image.convert("RGB").split())
    return (red << 16) + (green << 8) + blue


@dataclass(frozen=True)
class Region:
    """Connected pixels of one number: the rectangle around them, and which pixels of it they are, (height, width)."""

    rectangle: tuple[int, int, int, int]
    number: int
    mask: NDArray[np.bool_]


def regions(numbers: NDArray[Any]) -> list[Region]:
    """Each connected group of pixels of an equal number, except 0; pixels that touch at a corner are connected.

    A mask that is too busy is one region: more than `MAX_RUNS` pieces of rows, or more than `MAX_DEFECTS` groups.
    """
    rows, starts, ends = _runs(numbers)
    if not len(rows):
        return []
    of_runs = numbers[rows, starts]
    groups = _groups(rows, starts, ends, of_runs) if len(rows) <= MAX_RUNS else np.zeros(len(rows), np.int64)
    names, group = np.unique(groups, return_inverse=True)
    if len(names) > MAX_DEFECTS:
        names, group = names[:1], np.zeros_like(group)
    if len(names) == 1:
        return [_whole(numbers)]
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group))[:-1])
    return [_region(rows[each], starts[each], ends[each], int(of_runs[each[0]])) for each in members]


def _whole(numbers: NDArray[Any]) -> Region:
    """All marked pixels as one region, of the commonest number."""
    ys, xs = np.flatnonzero(numbers.any(axis=1)), np.flatnonzero(numbers.any(axis=0))
    inside = numbers[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    counts = np.bincount(inside[inside > 0].astype(np.int64))
    rectangle = int(xs[0]), int(ys[0]), inside.shape[1], inside.shape[0]
    return Region(rectangle, int(counts.argmax()), inside > 0)


def _region(rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], number: int) -> Region:
    left, top = int(starts.min()), int(rows[0])
    mask = np.zeros((int(rows[-1]) + 1 - top, int(ends.max()) - left), bool)
    for row, start, end in zip(rows - top, starts - left, ends - left, strict=True):
        mask[row, start:end] = True
    return Region((left, top, mask.shape[1], mask.shape[0]), number, mask)


def _least_marked(counts: NDArray[np.int64]) -> int:
    """The lowest gray level that counts as marked: any but black where the levels number types or defects."""
    levels = np.flatnonzero(counts)
    without_gaps = levels[-1] == len(levels) - 1 < 256 - NEAR_EXTREME  # 0, 1, 2 …, as numbers of many defects are
    if len(levels) > FEW_LEVELS and not without_gaps:
        return 128
    return JPEG_NOISE if levels[-1] >= 256 - NEAR_EXTREME else 1


def _runs(numbers: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The row, first column and column after the last of every unbroken piece of a row of one number."""
    padded = np.pad(numbers, ((0, 0), (1, 1)))
    changes = padded[:, 1:] != padded[:, :-1]
    rows, starts = np.nonzero(changes & (padded[:, 1:] != 0))
    _, ends = np.nonzero(changes & (padded[:, :-1] != 0))
    return rows, starts, ends


def _groups(
    rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], numbers: NDArray[Any]
) -> NDArray[np.int64]:
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
            if numbers[other] == numbers[run]:
                parent[root(other)] = root(run)
            other += 1
    return np.array([root(run) for run in range(len(rows))])
