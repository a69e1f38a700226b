"""The patches that compositions draw from: some of the annotated defects of a dataset, others for each block of seeds.

A dataset may have more defects than fit into memory. So a block of seeds has a library of its own, a bounded choice
that the block's number alone determines: whatever else is made, a seed finds the same patches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawsmith.core.store.datasets.annotations import Annotations, Defect
from flawsmith.core.store.datasets.dataset_folder import StoredPhotograph
from flawsmith.models.compositions import Patch, Rules, mask_in_boxes, measured_rules
from flawsmith.models.compositions.footprint import MARGIN
from flawsmith.models.compositions.parts import Mask, Pixels

PER_TYPE = 64  # defects of a type in a library
MOST_BYTES = 192 * 2**20  # of a library's patches
BLOCK = 256  # seeds that have one library
SURROUND = int(1.5 * MARGIN)  # pixels around a defect that go with it: a turned patch needs more than the margin
FEWEST_WHOLE = 8  # defects of a type within their photographs, with which those that the border cuts off are left out
BYTES_PER_PIXEL = 5  # of a patch: three channels and two masks


@dataclass(frozen=True)
class Origin:
    """An annotated defect: the photograph's and the defect's place in the dataset."""

    photograph: int
    defect: int

    @property
    def source(self) -> str:
        """As a patch names it."""
        return f"{self.photograph}/{self.defect}"

    @classmethod
    def of(cls, source: str) -> "Origin":
        photograph, defect = map(int, source.split("/"))
        return cls(photograph, defect)


class DefectCatalogue:
    """The annotated defects of a dataset by type, without their pixels.

    Args:
        photographs: of the dataset.
        types: that are asked for.
    """

    def __init__(self, photographs: Sequence[StoredPhotograph], types: Sequence[str]) -> None:
        self.photographs = photographs
        found: dict[str, list[Origin]] = {each: [] for each in types}
        for index, photograph in enumerate(photographs):
            for number, defect in enumerate(photograph.annotations.defects):
                if defect.defect_type in found:
                    found[defect.defect_type].append(Origin(index, number))
        self.by_type: Mapping[str, list[Origin]] = {name: self._whole(origins) for name, origins in found.items()}

    def chosen(self, block: int) -> dict[int, list[int]]:
        """The defects of a block's library: their numbers, by the photographs' places, in the dataset's order.

        Types take turns until each has `PER_TYPE` or all of its defects, or the patches reach `MOST_BYTES`.
        """
        orders = [
            [origins[each] for each in np.random.default_rng(block).permutation(len(origins))[:PER_TYPE]]
            for origins in self.by_type.values()
        ]
        turns = [order[rank] for rank in range(PER_TYPE) for order in orders if rank < len(order)]
        found: dict[int, list[int]] = {}
        size = 0
        for each in turns:
            _, _, width, height = self.defect(each).box
            size += int((width + 2 * SURROUND) * (height + 2 * SURROUND)) * BYTES_PER_PIXEL
            if found and size > MOST_BYTES:
                break
            found.setdefault(each.photograph, []).append(each.defect)
        return {photograph: sorted(found[photograph]) for photograph in sorted(found)}

    def defect(self, origin: Origin) -> Defect:
        """The annotation of a defect."""
        return self.photographs[origin.photograph].annotations.defects[origin.defect]

    def describe(self, source: str, dataset_id: str) -> dict[str, Any]:
        """Where a patch is from, as JSON: dataset, file, box, and whether its mask was annotated."""
        origin = Origin.of(source)
        defect = self.defect(origin)
        return {
            "dataset": dataset_id,
            "file": self.photographs[origin.photograph].file,
            "box": list(defect.box),
            "mask": "found in its box" if defect.runs is None else "annotated",
        }

    def _whole(self, origins: list[Origin]) -> list[Origin]:
        """The defects that lie within their photographs, where they are enough."""
        whole = [
            each for each in origins if not _is_cut(self.defect(each), self.photographs[each.photograph].annotations)
        ]
        return whole if len(whole) >= FEWEST_WHOLE else origins


class PatchLibrary:
    """The patches of a block, cut out one photograph after the other.

    Args:
        catalogue: of the dataset.
        block: the number of the block.
    """

    def __init__(self, catalogue: DefectCatalogue, block: int) -> None:
        self.block, self.patches, self.rules = block, list[Patch](), dict[str, Rules]()
        self._catalogue, self._left = catalogue, list(catalogue.chosen(block).items())
        self.ready = False

    def load_next(self) -> None:
        """Cuts the patches out of one photograph; after the last one, measures how they may be turned and scaled."""
        if self._left:
            photograph, numbers = self._left.pop(0)
            self.patches += patches_of_annotations(self._catalogue.photographs[photograph], photograph, numbers)
        if not self._left:
            self.rules, self.ready = measured_rules(self.patches), True


def patches_of_annotations(photograph: StoredPhotograph, place: int, numbers: Sequence[int]) -> Iterator[Patch]:
    """A patch for each of these annotated defects; none for a box in which nothing stands out of the surface.

    The pixels are copies: views would keep the whole photograph in memory.
    """
    pixels = read_pixels(photograph.path)
    marks = _marks(photograph.annotations, pixels)
    for number in numbers:
        left, top, marked = marks[number]
        rows = slice(max(0, top - SURROUND), top + marked.shape[0] + SURROUND)
        columns = slice(max(0, left - SURROUND), left + marked.shape[1] + SURROUND)
        window = pixels[rows, columns].copy()
        own, others = (np.zeros(window.shape[:2], bool) for _ in range(2))
        for each, (x, y, mask) in enumerate(marks):
            _paste(own if each == number else others, mask, x - columns.start, y - rows.start)
        if own.any():
            others &= ~own
            defect_type = photograph.annotations.defects[number].defect_type
            source = Origin(place, number).source
            yield Patch(window, own, defect_type, source, others if others.any() else None)


def read_pixels(path: Path) -> Pixels:
    """The picture, (H, W) gray or (H, W, 3) colour."""
    with Image.open(path) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def _marks(annotations: Annotations, pixels: Pixels) -> list[tuple[int, int, Mask]]:
    """For each defect, the left upper corner of its box in whole pixels, and which pixels of the box it is."""
    height, width = pixels.shape[:2]
    corners = [_corners(each, (width, height)) for each in annotations.defects]
    boxes = [
        (left, top, right - left, bottom - top)
        for (left, top, right, bottom), each in zip(corners, annotations.defects, strict=True)
        if each.runs is None and right > left and bottom > top
    ]
    found = mask_in_boxes(pixels, boxes) if boxes else np.zeros((height, width), bool)
    marks = []
    for (left, top, right, bottom), each in zip(corners, annotations.defects, strict=True):
        mask = each.mask()
        marks.append((left, top, found[top:bottom, left:right] if mask is None else mask))
    return marks


def _corners(defect: Defect, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of its box in whole pixels, within a photograph of this size."""
    x, y, width, height = defect.box
    left, top = min(max(0, int(np.floor(x))), size[0]), min(max(0, int(np.floor(y))), size[1])
    right, bottom = min(int(np.ceil(x + width)), size[0]), min(int(np.ceil(y + height)), size[1])
    return left, top, max(left, right), max(top, bottom)


def _paste(window: NDArray[np.bool_], mask: Mask, left: int, top: int) -> None:
    """Adds a mask to a window, as far as it lies inside."""
    rows, columns = (
        (max(0, at), min(limit, at + size))
        for at, limit, size in zip((top, left), window.shape, mask.shape, strict=True)
    )
    if rows[0] < rows[1] and columns[0] < columns[1]:
        part = mask[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
        window[rows[0] : rows[1], columns[0] : columns[1]] |= part


def _is_cut(defect: Defect, annotations: Annotations) -> bool:
    x, y, width, height = defect.box
    return x < 1 or y < 1 or x + width > annotations.size[0] - 1 or y + height > annotations.size[1] - 1
