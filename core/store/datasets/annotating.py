"""Makes the annotations of a photograph of its masks, boxes and outlines."""

import hashlib
import io
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawsmith.core.store.datasets.annotations import Defect, defect_of
from flawsmith.core.store.datasets.boxes import Box, Outline, in_pixels, is_cut_off
from flawsmith.core.store.datasets.layout import InvalidType, valid_type
from flawsmith.core.store.datasets.masks import (
    VOC_VOID,
    Region,
    instances,
    look_of,
    regions,
    without_void,
)
from flawsmith.core.store.datasets.outlines import UnusableOutline, cost, drawn, pasted
from flawsmith.core.store.datasets.pairing import Picture
from flawsmith.core.store.datasets.passed_over import PassedOver
from flawsmith.core.store.datasets.recognition import Role
from flawsmith.core.store.images import DecodedFile, UnusableImage, encode_png

SAME_OBJECT = 0.5  # intersection over union of two rectangles, from which on they are of one defect (Pascal VOC)
MAX_BOXES = 1000  # of one photograph
MAX_DRAWN = 64  # times the pixels of a photograph that drawing its outlines, or cutting out its boxes, may take
MAX_RUNS_BYTES = 128 * 1024 * 1024  # of the masks of an upload
TOO_BUSY = f"its mask is kept as boxes only: the masks of the upload need more than {MAX_RUNS_BYTES:,} bytes"
TOO_MANY_BOXES = "its boxes are kept without masks: they are too many and too large to be cut out of its masks"
_OBJECTS = "segmentationobject"  # the folder of masks whose colours are instances, beside one of types


@dataclass(frozen=True)
class Annotated:
    """What is known of a photograph. ``masks`` are pictures of its size, uploaded or drawn from outlines."""

    defects: tuple[Defect, ...]
    boxes: tuple[Box, ...]  # in pixels
    masks: tuple[Picture, ...]
    defect_type: str  # of the photograph


class Annotator:
    """Reads the masks of an upload in its staging folder."""

    def __init__(
        self, folder: Path, colours: Mapping[str, str], passed_over: PassedOver, decode: Callable[[bytes], DecodedFile]
    ) -> None:
        self._folder, self._colours, self._passed_over = folder, colours, passed_over
        self._decode = decode  # of a mask in a label file
        self._written = 0  # characters of run lengths

    def annotate(self, role: Role) -> Annotated:
        """What is wrong with single masks, boxes and outlines goes to ``passed_over``."""
        masks = [each for each in role.masks if each.size == role.picture.size]
        for each in role.masks:
            if each.size != role.picture.size:
                self._passed_over.add_file(each.path, "the mask and its photograph differ in size")
        marked = self._marked(masks, by_type=role.types_from == "mask")
        defect_type = role.defect_type
        if role.types_from == "mask" and marked:
            areas: Counter[str] = Counter()
            for region, name in marked:
                areas[name] += int(region.mask.sum())
            defect_type = areas.most_common(1)[0][0]
        drawing = _Drawing(role.picture.size)
        labelled = self._labelled(role, drawing)
        marked = self._cuttable(marked, labelled, role.picture)
        if drawing.marks and not masks:
            masks = [self._drawn(role.picture, drawing.pixels)]
        drawn = drawing.pixels if drawing.marks else None
        defects = [] if role.clean else _defects(labelled, marked, drawn, role.types_from, defect_type)
        return Annotated(
            defects=tuple(self._bounded(each, role.picture) for each in defects),
            boxes=tuple(box for box, _ in labelled),
            masks=tuple(masks),
            defect_type=defect_type,
        )

    def _cuttable(
        self,
        marked: list[tuple[Region, str]],
        labelled: Sequence[tuple[Box, Defect | None]],
        picture: Picture,
    ) -> list[tuple[Region, str]]:
        """The regions, out of which the mask of each box is cut; none where the boxes are too large together."""
        area = sum(box.width * box.height for box, outlined in labelled if outlined is None)
        if not marked or area <= MAX_DRAWN * picture.size[0] * picture.size[1]:
            return marked
        self._passed_over.add_file(picture.path, TOO_MANY_BOXES)
        return []

    def _bounded(self, defect: Defect, picture: Picture) -> Defect:
        """The defect; without its mask where all masks take too much room, as those of noise do."""
        length = len(defect.runs or "")
        if self._written + length > MAX_RUNS_BYTES:
            self._passed_over.add_file(picture.path, TOO_BUSY)
            return replace(defect, runs=None)
        self._written += length
        return defect

    def _labelled(self, role: Role, drawing: "_Drawing") -> list[tuple[Box, Defect | None]]:
        """The boxes in pixels, with what their outlines enclose."""
        picture, found = role.picture, []
        declared = role.declared_size or picture.size
        for number, box in enumerate(role.boxes):
            cut = None if box.unreadable else in_pixels(box, picture.size)
            if box.unreadable:
                self._passed_over.add(box.source, "annotations without a readable box or outline", picture.path)
            elif number >= MAX_BOXES:
                self._passed_over.add(box.source, f"boxes beyond the first {MAX_BOXES} of a photograph", picture.path)
            elif declared != picture.size and not box.relative:
                self._passed_over.add(box.source, "boxes in a picture of another size", picture.path)
            elif cut is None:
                self._passed_over.add(box.source, "boxes outside their photographs", picture.path)
            else:
                if is_cut_off(box, cut, picture.size):
                    what = "parts of boxes that reach beyond their photographs"
                    self._passed_over.add(box.source, what, picture.path)
                found.append((cut, self._outlined(cut, picture, drawing)))
        return found

    def _outlined(self, box: Box, picture: Picture, drawing: "_Drawing") -> Defect | None:
        if box.outline is None:
            return None
        try:
            if box.outline.picture:
                return drawing.add_picture(self._marks(box.outline.picture), box.outline.corner)
            return drawing.add(box.outline)
        except UnusableOutline as error:
            self._passed_over.add(box.source, str(error), picture.path)
            return None

    def _marks(self, data: bytes) -> NDArray[np.bool_]:
        """The marked pixels (H, W) of a mask in a label file. Raises UnusableOutline."""
        try:
            file = self._decode(data)
        except UnusableImage:
            raise UnusableOutline("masks in a label file that cannot be decoded") from None
        with Image.open(io.BytesIO(file.png)) as image:
            return np.asarray(image.convert("L")) > 0

    def _marked(self, masks: Sequence[Picture], by_type: bool) -> list[tuple[Region, str]]:
        """The regions of all masks, with the names of their colours.

        Of a mask of types beside one of instances, only the names are taken.
        """
        objects = [each for each in masks if _OBJECTS in each.path.lower()]
        of_types = [each for each in masks if each not in objects]
        if not objects:
            return [each for mask in of_types for each in self._regions(mask, by_type)]
        found = [region for mask in objects for region, _ in self._regions(mask, by_type)]
        names = [self._numbers(mask, by_type=True) for mask in of_types]
        return [(region, next((_name(region, *each) for each in names), "")) for region in found]

    def _regions(self, mask: Picture, by_type: bool) -> list[tuple[Region, str]]:
        numbers, names = self._numbers(mask, by_type)
        return [(each, names[each.number - 1]) for each in regions(numbers)]

    def _numbers(self, mask: Picture, by_type: bool) -> tuple[NDArray[np.int32], list[str]]:
        """What tells the mask's pixels apart, and the types' names by these numbers, see `instances`."""
        path = self._folder / mask.staged_as
        image: Image.Image = Image.open(path)
        image.load()
        if image.mode == "RGB" and (np.asarray(image) == VOC_VOID).all(axis=2).any():
            image = without_void(image)
            path.write_bytes(encode_png(image))
        numbers, colours = instances(image, lossy=mask.lossy, by_type=by_type)
        return numbers, [self._colours.get(each, each) for each in colours]

    def _drawn(self, picture: Picture, pixels: NDArray[np.uint8]) -> Picture:
        """A mask in the staging folder. Its digest does not depend on how a PNG is compressed."""
        staged_as = f"mask-{picture.staged_as}"
        (self._folder / staged_as).write_bytes(encode_png(Image.fromarray(pixels)))
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        look = look_of(np.bincount(pixels.ravel(), minlength=256).tolist())
        return Picture("", digest, staged_as, "L", picture.size, digest, look)


class _Drawing:
    """The outlines of a photograph, drawn one after another into one picture, (H, W), 255 where one marks."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size, self.marks = size, False
        self._left = float(MAX_DRAWN * size[0] * size[1])

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        return np.zeros((self.size[1], self.size[0]), np.uint8)

    def add(self, outline: Outline) -> Defect:
        """The defect of an outline, its type left open. Raises UnusableOutline."""
        self._left -= cost(outline, self.size)
        if self._left < 0:
            raise UnusableOutline("outlines of a photograph with more and larger ones than can be drawn")
        return self._drawn(drawn(outline, self.size))

    def add_picture(self, pixels: NDArray[np.bool_], corner: tuple[int, int]) -> Defect:
        """The same of a small mask at a corner. Raises UnusableOutline."""
        return self._drawn(pasted(pixels, corner, self.size))

    def _drawn(self, region: Region) -> Defect:
        x, y, width, height = region.rectangle
        self.pixels[y : y + height, x : x + width][region.mask] = 255
        self.marks = True
        return defect_of(region, "")


def _name(region: Region, numbers: NDArray[np.int32], names: Sequence[str]) -> str:
    """The name of the commonest number among the pixels of a region; empty where none is marked."""
    x, y, width, height = region.rectangle
    counts = np.bincount(numbers[y : y + height, x : x + width][region.mask], minlength=len(names) + 1)[1:]
    return names[int(counts.argmax())] if counts.any() else ""


def _defects(
    labelled: Sequence[tuple[Box, Defect | None]],
    marked: Sequence[tuple[Region, str]],
    drawn: NDArray[np.uint8] | None,
    types_from: str,
    defect_type: str,
) -> list[Defect]:
    """A defect for each box, with the part of the masks that belongs to it, and for each region outside all boxes.

    Regions of masks that outlines cover, ``drawn`` (H, W), are of the same defects as these.
    """
    free, found = [region for region, _ in marked], []
    covered = {number for number, each in enumerate(free) if drawn is not None and _mostly(drawn, each)}
    for box, outlined in labelled:
        name = _type_or(box.defect_type, defect_type) if types_from == "label" else defect_type
        region = None if outlined else _belonging(box, free, covered)
        if outlined:
            found.append(replace(outlined, defect_type=name))
        elif region:
            found.append(defect_of(region, name))
        else:
            found.append(Defect(name, (box.x, box.y, box.width, box.height)))
    for number, (region, colour) in enumerate(marked):
        if number not in covered:
            found.append(defect_of(region, _type_or(colour, defect_type) if types_from == "mask" else defect_type))
    return found


def _belonging(box: Box, regions: Sequence[Region], covered: set[int]) -> Region | None:
    """The region of a box: the one with nearly its rectangle, else the pixels within it; None if none are.

    Adds to ``covered`` the numbers of the regions that need no box of their own.
    """
    if not regions:
        return None
    x, y, widths, heights = np.array([each.rectangle for each in regions], float).T
    across = np.minimum(box.x + box.width, x + widths) - np.maximum(box.x, x)
    down = np.minimum(box.y + box.height, y + heights) - np.maximum(box.y, y)
    shared = np.maximum(across, 0) * np.maximum(down, 0)
    areas = widths * heights
    unions = box.width * box.height + areas - shared
    best = int((shared / unions).argmax())
    if best not in covered and shared[best] >= SAME_OBJECT * unions[best]:
        covered.add(best)
        return regions[best]
    left, top = math.floor(box.x), math.floor(box.y)
    pixels = np.zeros((math.ceil(box.y + box.height) - top, math.ceil(box.x + box.width) - left), bool)
    for number in np.flatnonzero(shared).tolist():
        _paste(pixels, regions[number], left, top)
        if shared[number] >= SAME_OBJECT * areas[number]:
            covered.add(number)
    ys, xs = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(ys):
        return None
    mask = pixels[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    return Region((left + int(xs[0]), top + int(ys[0]), mask.shape[1], mask.shape[0]), 1, mask)


def _paste(pixels: NDArray[np.bool_], region: Region, left: int, top: int) -> None:
    """Marks the pixels of a region in a window (H, W) whose corner is at left, top."""
    x, y, width, height = region.rectangle
    right, bottom = left + pixels.shape[1], top + pixels.shape[0]
    ys = slice(max(y, top), max(min(y + height, bottom), top))
    xs = slice(max(x, left), max(min(x + width, right), left))
    part = region.mask[max(top - y, 0) : ys.stop - y, max(left - x, 0) : xs.stop - x]
    if part.size:
        pixels[ys.start - top : ys.stop - top, xs.start - left : xs.stop - left] |= part


def _mostly(drawn: NDArray[np.uint8], region: Region) -> bool:
    """Whether most pixels of a region are drawn."""
    x, y, width, height = region.rectangle
    return bool((drawn[y : y + height, x : x + width][region.mask] > 0).mean() >= SAME_OBJECT)


def _type_or(name: str, otherwise: str) -> str:
    """The name, where it can be a defect type."""
    try:
        return valid_type(name)
    except InvalidType:
        return otherwise
