"""Cuts photographs into the squares that are trained on, and tells what a cut loses."""

import math
from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np
from PIL import Image

from flawsmith.core.domain.crops import GRID_ABOVE, Around
from flawsmith.core.domain.records import CropEffect
from flawsmith.core.store.datasets.masks import Rectangle

NEARLY_SQUARE = 1.1  # longer to shorter side, up to which one square is the whole grid
MOST_SQUARES = 32  # of one photograph
SHOWN_SHARE = 0.5  # of a labelled defect, from which on a square of the grid shows it

Shape = tuple[tuple[int, int], Sequence[Rectangle]]
"""A photograph's width and height, and the rectangles around its labelled defects."""


def default_crop(sizes: Iterable[tuple[int, int]]) -> Around:
    """The grid where a photograph is long, else the middle square."""
    return Around.GRID if max(max(size) / min(size) for size in sizes) > GRID_ABOVE else Around.MIDDLE


def squares(size: tuple[int, int], around: Around, defects: Sequence[Rectangle] = ()) -> list[Rectangle]:
    """The squares of one photograph, as x, y, width, height; that of `Around.PAD` reaches beyond the photograph."""
    width, height = size
    long, short = max(size), min(size)
    if around is Around.PAD:
        return [((width - long) / 2, (height - long) / 2, long, long)]
    if around is Around.MIDDLE or long <= NEARLY_SQUARE * short:
        return [((width - short) / 2, (height - short) / 2, short, short)]
    count = min(math.ceil(long / short), MOST_SQUARES)
    offsets = [round(index * (long - short) / (count - 1)) for index in range(count)]
    grid: list[Rectangle] = [(at, 0, short, short) if width > height else (0, at, short, short) for at in offsets]
    if not defects:
        return grid
    shown = [max(_share(defect, square) for defect in defects) for square in grid]
    needed = min(SHOWN_SHARE, max(shown))
    return [square for square, share in zip(grid, shown, strict=True) if share >= needed]


def cut(image: Image.Image, around: Around, defects: Sequence[Rectangle] = ()) -> list[Image.Image]:
    """The squares of a photograph as pictures. For the middle, the whole photograph: scaling it cuts the middle."""
    if around is Around.MIDDLE or image.width == image.height:
        return [image]
    if around is Around.PAD:
        return [_padded(image)]
    return [
        image.crop((int(x), int(y), int(x + side), int(y + side)))
        for x, y, side, _ in squares(image.size, around, defects)
    ]


def effect(around: Around, shapes: Sequence[Shape]) -> CropEffect:
    """How many squares a crop makes of photographs, and what it loses."""
    images, shown_pixels, pixels, lost = 0, 0.0, 0, 0
    sizes: list[float] = []  # of the defects, as shares of a square's side
    sides: list[float] = []  # of the squares
    for size, defects in shapes:
        cuts = squares(size, around)
        used = squares(size, around, defects)
        images += len(used)
        pixels += size[0] * size[1]
        shown_pixels += min(size[0] * size[1], sum(side * side for _, _, side, _ in cuts))
        lost += sum(all(_share(defect, square) == 0 for square in used) for defect in defects)
        sizes += [math.sqrt(width * height) / used[0][2] for _, _, width, height in defects]
        sides += [side for _, _, side, _ in used]
    return CropEffect(
        images=images,
        pixels_lost=round(1 - shown_pixels / pixels, 3),
        defects_lost=lost,
        defect_size=round(median(sizes), 5) if sizes else None,
        side=median(sides),
    )


def _share(defect: Rectangle, square: Rectangle) -> float:
    """The share of a defect that lies within a square."""
    x, y, width, height = defect
    left, top, side, _ = square
    across = min(x + width, left + side) - max(x, left)
    down = min(y + height, top + side) - max(y, top)
    return max(0.0, across) * max(0.0, down) / max(width * height, 1e-9)


def _padded(image: Image.Image) -> Image.Image:
    width, height = image.size
    missing = max(image.size) - height, max(image.size) - width
    around = [(each // 2, each - each // 2) for each in missing]
    pixels = np.asarray(image)
    return Image.fromarray(np.pad(pixels, [*around, *[(0, 0)] * (pixels.ndim - 2)], mode="symmetric"))
