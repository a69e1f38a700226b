"""From outlines of label files to masks, and from masks to the compressed run lengths in which they are stored."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from flawsmith.core.store.datasets.boxes import Outline, Size
from flawsmith.core.store.datasets.masks import Region

MAX_POINTS = 20_000  # of one outline
RUNS_FASTER = 8
MAX_PERIMETERS = 200  # of a photograph, that one outline may be long


class UnusableOutline(Exception):
    """The outline marks no pixels of its photograph; the message names such outlines in the plural."""


def drawn(outline: Outline, size: Size) -> Region:
    """The pixels that an outline encloses in a photograph of this size.

    Raises:
        UnusableOutline: it lies outside, counts runs of another size, is malformed, or is far too long.
    """
    if outline.polygons:
        return _filled(outline.polygons, size)
    if outline.size != size:
        raise UnusableOutline("outlines in a picture of another size than the photograph's")
    counts = {"size": [size[1], size[0]], "counts": outline.runs}
    try:
        if not isinstance(outline.runs, str):
            counts = coco_mask.frPyObjects({**counts, "counts": list(outline.runs)}, size[1], size[0])
        pixels = coco_mask.decode(counts)
    except (ValueError, OverflowError, TypeError):
        raise UnusableOutline("outlines with malformed run lengths") from None
    x, y, width, height = (int(each) for each in coco_mask.toBbox(counts))
    return _tight(pixels[y : y + height, x : x + width], (x, y))


def pasted(pixels: NDArray[np.bool_], corner: tuple[int, int], size: Size) -> Region:
    """The part of a small mask (H, W) that lies in a photograph of this size. Raises UnusableOutline."""
    left, top = corner
    inside = pixels[max(0, -top) : max(0, size[1] - top), max(0, -left) : max(0, size[0] - left)]
    return _tight(inside, (max(0, left), max(0, top)))


def cost(outline: Outline, size: Size) -> float:
    """How many pixels drawing an outline takes; those of runs are filled eight times as fast."""
    if not outline.polygons:
        return size[0] * size[1] / RUNS_FASTER
    points = [value for each in outline.polygons for value in each]
    sides = [
        min(whole, max(points[axis::2], default=0) + 1) - max(0, min(points[axis::2], default=0))
        for axis, whole in enumerate(size)
    ]
    return max(0.0, sides[0]) * max(0.0, sides[1])


def encoded(mask: NDArray[np.bool_]) -> str:
    """COCO's compressed run lengths of a mask (H, W)."""
    return str(coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode("ascii"))


def decoded(counts: str, size: Size) -> NDArray[np.bool_]:
    """The mask (H, W) of compressed run lengths. Raises ValueError."""
    return _decoded({"size": [size[1], size[0]], "counts": counts})


def _filled(polygons: tuple[tuple[float, ...], ...], size: Size) -> Region:
    """The union of polygons, each drawn within the rectangle around all of them."""
    xs = [value for each in polygons for value in each[0::2]]
    ys = [value for each in polygons for value in each[1::2]]
    if any(len(each) < 6 or len(each) % 2 for each in polygons):
        raise UnusableOutline("outlines with fewer than three points")
    if not all(map(math.isfinite, (*xs, *ys))):  # shares of a side, so large that their pixels overflow
        raise UnusableOutline("outlines that are too long to be drawn")
    left, right = max(0, math.floor(min(xs))), min(size[0], math.ceil(max(xs)) + 1)
    top, bottom = max(0, math.floor(min(ys))), min(size[1], math.ceil(max(ys)) + 1)
    if right <= left or bottom <= top:
        raise UnusableOutline("outlines outside their photographs")
    _check_length(polygons, size)
    local = [[value - (top if i % 2 else left) for i, value in enumerate(each)] for each in polygons]
    runs = coco_mask.merge(coco_mask.frPyObjects(local, bottom - top, right - left))
    return _tight(_decoded(runs), (left, top))


def _decoded(runs: Any) -> NDArray[np.bool_]:
    mask: NDArray[np.uint8] = coco_mask.decode(runs)
    return mask.astype(bool)


def _check_length(polygons: tuple[tuple[float, ...], ...], size: Size) -> None:
    """Drawing takes memory and time for each pixel of a polygon's edge, also where it lies outside."""
    length = 0.0
    for each in polygons:
        points = np.array(each).reshape(-1, 2)
        length += float(np.hypot(*(points - np.roll(points, 1, axis=0)).T).sum())
    if sum(map(len, polygons)) > 2 * MAX_POINTS or not length <= MAX_PERIMETERS * 2 * sum(size):
        raise UnusableOutline("outlines that are too long to be drawn")


def _tight(pixels: NDArray[Any], offset: tuple[int, int]) -> Region:
    ys, xs = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(ys):
        raise UnusableOutline("outlines without a pixel inside their photographs")
    mask = pixels[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1].astype(bool)
    rectangle = int(xs[0]) + offset[0], int(ys[0]) + offset[1], mask.shape[1], mask.shape[0]
    return Region(rectangle, 1, mask)
