"""Cuts the stored photographs of a dataset into the squares that are trained on, and their masks alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from flawsmith.core.domain.crops import Around, Crop, as_crop
from flawsmith.core.domain.image_modes import ImageMode
from flawsmith.core.domain.records import CropEffect
from flawsmith.core.store.datasets.crops import cut, squares
from flawsmith.core.store.datasets.dataset_folder import CLEAN, StoredPhotograph
from flawsmith.core.store.datasets.native_crops import NativeCrops, View, evenly
from flawsmith.core.store.images import to_pixels

LEAST_MARKED = 32  # of 255, in a scaled mask: a pixel of which an eighth is marked
HALF_MARKED = 128  # of 255: a pixel of which half is marked, so that a mask keeps its area
MOST_CLEAN = 16  # squares of one photograph


@dataclass(frozen=True)
class Squares:
    """A dataset, cut and scaled: an entry for each square.

    Attributes:
        pixels: (N, resolution, resolution, channels) uint8.
        type_index: (N,) int64, the position of each square's defect type in ``classes``.
        classes: the defect types.
        files: the names of the photographs as they were uploaded.
        photograph: (N,) int64, the number of the photograph that each was cut from.
    """

    pixels: npt.NDArray[np.uint8]
    type_index: npt.NDArray[np.int64]
    classes: list[str]
    files: list[str]
    photograph: npt.NDArray[np.int64]

    def holdout_units(self, config: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """(N,) int64: squares of equal number are held out together in a run of this configuration."""
        return self.photograph if config.get("whole_photographs") else np.arange(len(self.photograph))


class Cutter:
    """Cuts the photographs of one dataset.

    Around annotations, photographs without any are left out: nobody knows where their defects are. Where a dataset has
    none at all, a grid at the photographs' scale stands in.

    Args:
        photographs: all of the dataset, in its order.
        crop: how they are cut.
        native_side: the side of squares at the photographs' scale, in pixels.
    """

    def __init__(self, photographs: Sequence[StoredPhotograph], crop: Crop | Around, native_side: int) -> None:
        self._photographs, self._crop = photographs, as_crop(crop)
        self._native: NativeCrops | None = None
        if self._crop.measured:
            known = [each.annotations for each in photographs]
            if self._crop.around is Around.ANNOTATIONS and not any(each.defects for each in known):
                self._crop = Crop(around=Around.GRID, native=True).completed()
            self._native = NativeCrops(self._crop, native_side, known)

    @property
    def types(self) -> list[str] | None:
        """The defect types of squares around annotations; None where those of the photographs count."""
        if self._native is None or self._crop.around is not Around.ANNOTATIONS:
            return None
        return sorted({defect.defect_type for each in self._native.photographs for defect in each.defects})

    def effect(self) -> CropEffect:
        """Of a crop that is `Crop.measured`."""
        assert self._native is not None
        return self._native.effect()

    def squares(self, classes: list[str], mode: ImageMode, resolution: int) -> Squares:
        """All squares, scaled; ``classes`` are the types in their order."""
        pixels, type_index, files, numbers = [], [], [], []
        for number, photograph, square, defect_type in self._cut():
            pixels.append(to_pixels(square, mode, resolution))
            type_index.append(classes.index(defect_type))
            files.append(photograph.file)
            numbers.append(number)
        return Squares(np.stack(pixels), np.array(type_index, np.int64), classes, files, np.array(numbers, np.int64))

    def masks(self, resolution: int) -> list[npt.NDArray[np.bool_] | None]:
        """For each of the squares, the pixels that are marked, (resolution, resolution); None without a mask."""
        if self._native is None:
            cuts = [square for each in self._photographs for square in each.mask_squares(self._crop.around)]
        else:
            cuts = list(self._native_masks(self._native))
        return [None if cut is None else to_pixels(cut, "L", resolution)[..., 0] >= LEAST_MARKED for cut in cuts]

    def targets(self, resolution: int, *, boxes: bool) -> list[npt.NDArray[np.bool_] | None]:
        """For each of the squares, the pixels of annotated defects, (resolution, resolution).

        Args:
            resolution: of the squares.
            boxes: whether a defect is all that is in its box; else only masks count.

        Returns:
            None for squares of a photograph without such annotations.
        """
        known = [each.annotations for each in self._photographs]
        marks = self._marks((each.boxed() if boxes else each.mask() for each in known), resolution)
        return [None if each is None else each >= HALF_MARKED for each in marks]

    def marks(self, resolution: int) -> list[npt.NDArray[np.uint8] | None]:
        """For each of the squares, how much of each pixel is a defect, (resolution, resolution), 0 … 255.

        Returns:
            None for squares of a photograph with a defect that has no mask.
        """
        known = [each.annotations for each in self._photographs]
        return list(self._marks((each.mask() if each.is_masked else None for each in known), resolution))

    def _marks(
        self, marked: Iterable[npt.NDArray[np.bool_] | None], resolution: int
    ) -> Iterator[npt.NDArray[np.uint8] | None]:
        """The squares of what is marked in each of the photographs, scaled."""
        for number, (photograph, pixels) in enumerate(zip(self._photographs, marked, strict=True)):
            if pixels is None:
                yield from [None] * self._count(number)
                continue
            picture = Image.fromarray(pixels.astype(np.uint8) * 255)
            if self._native is None:
                cuts = list(cut(picture, self._crop.around, photograph.defects))
            else:
                cuts = [picture.crop(view.corners) for view in self._native.views(number)]
            for square in cuts:
                yield to_pixels(square, "L", resolution)[..., 0]

    def _count(self, number: int) -> int:
        """How many squares a photograph has."""
        if self._native is not None:
            return len(self._native.views(number))
        photograph = self._photographs[number]
        return len(squares(photograph.annotations.size, self._crop.around, photograph.defects))

    def _cut(self) -> Iterator[tuple[int, StoredPhotograph, Image.Image, str]]:
        for number, each in enumerate(self._photographs):
            if self._native is None:
                for square in each.squares(self._crop.around):
                    yield number, each, square, each.defect_type
                continue
            views = self._native.views(number)
            for view, square in zip(views, _views_of(each, views), strict=True):
                named = each.defect_type if view.defect is None else each.annotations.defects[view.defect].defect_type
                yield number, each, square, named

    def _native_masks(self, native: NativeCrops) -> Iterator[Image.Image | None]:
        for number, each in enumerate(native.photographs):
            views = native.views(number)
            mask = each.mask() if views else None
            whole = None if mask is None else Image.fromarray(mask.astype(np.uint8) * 255)
            yield from (None if whole is None else whole.crop(view.corners) for view in views)


def clean_squares(
    clean: Sequence[StoredPhotograph],
    photographs: Sequence[StoredPhotograph],
    crop: Crop | Around,
    resolution: int,
    mode: ImageMode,
    most: int | None = None,
) -> Squares:
    """The squares of clean photographs, all of the type `CLEAN`.

    With ``most``, at most so many at the photographs' scale, evenly chosen, and none that would have to be enlarged.

    Where there are none, beside crops at the photographs' scale: the places of annotated photographs that show no
    annotated defect.
    """
    wanted = as_crop(crop)
    if not wanted.measured:
        return Cutter(clean, wanted, resolution).squares([CLEAN], mode, resolution)
    pixels, files, numbers = [], [], []
    found = clean_views(clean, photographs, wanted, resolution)
    flat = [(number, view) for number, (_, views) in enumerate(found) for view in views]
    if most is not None:
        flat = evenly([(number, view) for number, view in flat if view.side == resolution], most)
    kept = set(flat)
    for number, (photograph, views) in enumerate(found):
        for square in _views_of(photograph, [each for each in views if (number, each) in kept]):
            pixels.append(to_pixels(square, mode, resolution))
            files.append(photograph.file)
            numbers.append(number)
    return Squares(np.stack(pixels), np.zeros(len(files), np.int64), [CLEAN], files, np.array(numbers, np.int64))


def clean_views(
    clean: Sequence[StoredPhotograph], photographs: Sequence[StoredPhotograph], crop: Crop, resolution: int
) -> list[tuple[StoredPhotograph, list[View]]]:
    """The squares of `clean_squares` of a crop that is `Crop.measured`, by their photographs, without their pixels."""
    sources = clean or [each for each in photographs if each.annotations.defects]
    native = NativeCrops(crop, resolution, [each.annotations for each in sources])
    return [(each, native.free_views(number, MOST_CLEAN)) for number, each in enumerate(sources)]


def _views_of(photograph: StoredPhotograph, views: Sequence[View]) -> list[Image.Image]:
    if not views:
        return []
    with photograph.path.open("rb") as file, Image.open(file) as image:
        image.load()
        return [image.crop(view.corners) for view in views]
