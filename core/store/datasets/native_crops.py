"""Cuts squares out of photographs around annotated defects, or in a grid at the photographs' own scale."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.domain.crops import Around, Crop
from flawsmith.core.domain.records import CropEffect
from flawsmith.core.store.datasets.annotations import Annotations, Defect
from flawsmith.core.store.datasets.boxes import Size

VIEWS = (2, 8)  # fewest and most squares around one defect …
VIEWS_OF_ALL = 1024  # … and how many of all defects together are enough
MOST_TILES = 32  # of one defect
MOST_OF_PHOTOGRAPH = 256  # squares of a grid
MOST_OF_SET = 8192  # squares of the grids of all photographs
LEAST_SHOWN = 0.25  # of what the best tile of a defect shows, from which on a tile is kept


Item = TypeVar("Item")


@dataclass(frozen=True)
class View:
    """A square of a photograph. ``defect`` is the number of the annotated defect it is cut around, if it is."""

    x: int
    y: int
    side: int
    defect: int | None = None

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom."""
        return self.x, self.y, self.x + self.side, self.y + self.side

    def shows(self, defect: Defect) -> bool:
        """Whether the square and the defect's box share a pixel."""
        x, y, width, height = defect.box
        left, top, right, bottom = self.corners
        return x < right and x + width > left and y < bottom and y + height > top

    def mask_of(self, defect: Defect) -> NDArray[np.bool_] | None:
        """The pixels of the square that a defect marks, (side, side); None for one without a mask."""
        mask = defect.mask()
        if mask is None:
            return None
        pixels = np.zeros((self.side, self.side), bool)
        x, y = int(defect.box[0]) - self.x, int(defect.box[1]) - self.y
        part = mask[max(0, -y) : max(0, self.side - y), max(0, -x) : max(0, self.side - x)]
        top, left = max(0, y), max(0, x)
        pixels[top : top + part.shape[0], left : left + part.shape[1]] = part[: self.side - top, : self.side - left]
        return pixels


class NativeCrops:
    """The squares of all photographs of a dataset.

    Args:
        crop: with all its values, and `Crop.measured`.
        resolution: of the images, the side of squares at the photographs' scale.
        photographs: in their order. The same ones give the same squares.
    """

    def __init__(self, crop: Crop, resolution: int, photographs: Sequence[Annotations]) -> None:
        self.crop, self.resolution, self.photographs = crop, resolution, photographs
        defects = sum(len(each.defects) for each in photographs)
        self._views = min(VIEWS[1], max(VIEWS[0], VIEWS_OF_ALL // max(1, defects)))
        self._most = min(MOST_OF_PHOTOGRAPH, max(1, MOST_OF_SET // max(1, len(photographs))))

    def views(self, number: int) -> list[View]:
        """The squares of one photograph. Around annotations there are none of a photograph without them."""
        photograph = self.photographs[number]
        if self.crop.around is Around.GRID:
            return self._grid(photograph)
        found: dict[View, None] = {}
        for index, defect in enumerate(photograph.defects):
            # Where a square lies depends on the photograph alone, so that a dataset always has the same ones.
            random = np.random.default_rng([number, index])
            found |= dict.fromkeys(self._around(defect, index, photograph.size, random))
        return list(found)

    def free_views(self, number: int, most: int) -> list[View]:
        """Squares of the same scale that show no annotated defect, evenly picked."""
        photograph = self.photographs[number]
        side = min(self.resolution, *photograph.size)
        grid = _cover((0, 0, *photograph.size), side, self.crop.overlap or 0, photograph.size)
        free = [each for each in grid if not any(each.shows(defect) for defect in photograph.defects)]
        return evenly(free, most)

    def effect(self) -> CropEffect:
        """How many squares there are, and what they lose."""
        images, sides, sizes, lost, shown, pixels, left_out = 0, [], [], 0, 0.0, 0, 0
        types: Counter[str] = Counter()
        for number, photograph in enumerate(self.photographs):
            views = self.views(number)
            images += len(views)
            left_out += not views
            sides += [each.side for each in views]
            area = photograph.size[0] * photograph.size[1]
            pixels += area
            shown += min(area, sum((each.side * (1 - (self.crop.overlap or 0) / 2)) ** 2 for each in views))
            types.update({photograph.defects[each.defect].defect_type for each in views if each.defect is not None})
            for defect in photograph.defects:
                over = [each for each in views if each.shows(defect)]
                lost += not over
                sizes += [math.sqrt(defect.box[2] * defect.box[3]) / over[0].side] if over else []
        return CropEffect(
            images=images,
            pixels_lost=round(1 - shown / pixels, 3) if pixels else 0,
            defects_lost=lost,
            defect_size=round(median(sizes), 5) if sizes else None,
            types=dict(sorted(types.items())),
            left_out=left_out,
            side=median(sides) if sides else None,
        )

    def _grid(self, photograph: Annotations) -> list[View]:
        side = min(self.resolution, *photograph.size)
        grid = _cover((0, 0, *photograph.size), side, self.crop.overlap or 0, photograph.size)
        if photograph.defects:
            grid = [each for each in grid if any(each.shows(defect) for defect in photograph.defects)] or grid
        return evenly(grid, self._most)

    def _around(self, defect: Defect, index: int, size: Size, random: np.random.Generator) -> list[View]:
        x, y, width, height = defect.box
        long, context = max(width, height), self.crop.context or 1
        wanted = self.resolution if self.crop.native else max(1, math.ceil(long * context))
        side = min(wanted, *size)
        if long > side:
            return self._tiles(defect, index, side, size)
        found = [View(_middle(x, width, side, size[0]), _middle(y, height, side, size[1]), side, index)]
        for _ in range(self._views - 1):
            left, top = (
                _jittered(start, length, side, whole, context, random)
                for start, length, whole in ((x, width, size[0]), (y, height, size[1]))
            )
            found.append(View(left, top, side, index))
        return found

    def _tiles(self, defect: Defect, index: int, side: int, size: Size) -> list[View]:
        """Squares that cover a defect; where a mask tells, only those that show enough of it."""
        tiles = _cover(defect.box, side, self.crop.overlap or 0, size, index)
        mask = defect.mask()
        if mask is not None:
            left, top = int(defect.box[0]), int(defect.box[1])
            shown = [
                int(mask[max(0, t.y - top) : t.y + side - top, max(0, t.x - left) : t.x + side - left].sum())
                for t in tiles
            ]
            tiles = [tile for tile, each in zip(tiles, shown, strict=True) if each >= LEAST_SHOWN * max(shown)]
        return evenly(tiles, MOST_TILES)


def _cover(
    rectangle: tuple[float, float, float, float], side: int, overlap: float, size: Size, defect: int | None = None
) -> list[View]:
    """Squares that cover a rectangle of a photograph, row by row, neighbours overlapping by this share at least."""
    x, y, width, height = rectangle
    across, down = _places(x, width, side, overlap, size[0]), _places(y, height, side, overlap, size[1])
    return [View(left, top, side, defect) for top in down for left in across]


def _places(start: float, length: float, side: int, overlap: float, whole: int) -> list[int]:
    if length <= side:
        return [_middle(start, length, side, whole)]
    count = math.ceil((length - side) / (side * (1 - overlap))) + 1
    step = (length - side) / (count - 1)
    return [_inside(round(start + each * step), side, whole) for each in range(count)]


def _middle(start: float, length: float, side: int, whole: int) -> int:
    return _inside(round(start + (length - side) / 2), side, whole)


def _jittered(start: float, length: float, side: int, whole: int, context: float, random: np.random.Generator) -> int:
    """A place from which a square shows the whole defect, with as much context as leaves it room to move."""
    margin = min((context - 1) / 2 * length, (side - length) / 4)
    low = _inside(math.ceil(start + length + margin - side), side, whole)
    high = _inside(math.floor(start - margin), side, whole)
    return int(random.integers(low, max(low, high) + 1))


def _inside(place: int, side: int, whole: int) -> int:
    return min(max(0, place), whole - side)


def evenly(views: Sequence[Item], most: int) -> list[Item]:
    """At most so many of them, evenly spaced."""
    count = min(most, len(views))
    return [views[each * len(views) // count] for each in range(count)]
