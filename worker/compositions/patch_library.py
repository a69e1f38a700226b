"""The patches that compositions draw from: some of the annotated defects of a dataset, others for each block of seeds.

A dataset may have more defects than fit into memory. So a block of seeds has a library of its own, a bounded choice
that the block's number alone determines: whatever else is made, a seed finds the same patches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flawsmith.core.store.datasets.annotations import Annotations, Defect
from flawsmith.core.store.datasets.dataset_folder import StoredPhotograph
from flawsmith.models.compositions import Patch, Rules, annotated_patches, measured_rules
from flawsmith.models.compositions.extraction import SURROUND
from flawsmith.models.compositions.footprint import MARGIN
from flawsmith.models.compositions.parts import Box, Pixels

PER_TYPE = 64  # defects of a type in a library
MOST_BYTES = 192 * 2**20  # of a library's patches
BLOCK = 256  # seeds that have one library
FEWEST_WHOLE = 8  # defects of a type within their photographs, with which those that the border cuts off are left out
BYTES_PER_PIXEL = 5  # of a patch: three channels and two masks


@dataclass(frozen=True)
class Origin:
    """An annotated defect: the photograph's and the defect's place in the dataset."""

    photograph: int
    defect: int

    @classmethod
    def of(cls, source: str) -> "Origin":
        """That a patch names as its source: ``5`` or, for the second defect, ``5#2``; see `annotated_patches`."""
        photograph, _, number = source.partition("#")
        return cls(int(photograph), int(number or 1) - 1)


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

    def chosen(self, block: int, per_type: int = PER_TYPE, most_bytes: int = MOST_BYTES) -> dict[int, list[int]]:
        """The defects of a block's library: their numbers, by the photographs' places, in the dataset's order.

        Types take turns until each has ``per_type`` or all of its defects, or the patches reach ``most_bytes``.
        """
        orders = [
            [origins[each] for each in np.random.default_rng(block).permutation(len(origins))[:per_type]]
            for origins in self.by_type.values()
        ]
        turns = [order[rank] for rank in range(per_type) for order in orders if rank < len(order)]
        found: dict[int, list[int]] = {}
        size = 0
        for each in turns:
            _, _, width, height = self.defect(each).box
            around = 2 * SURROUND * MARGIN  # pixels of the surface that a patch has on both sides together
            size += int((width + around) * (height + around)) * BYTES_PER_PIXEL
            if found and size > most_bytes:
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

    They are copies: views would keep the whole photograph in memory.
    """
    pixels = read_pixels(photograph.path)
    size = pixels.shape[1], pixels.shape[0]
    defects = [(each.defect_type, _whole_box(each, size), each.mask()) for each in photograph.annotations.defects]
    for patch in annotated_patches(pixels, defects, str(place)):
        if Origin.of(patch.source).defect in numbers:
            others = None if patch.others is None else patch.others.copy()
            yield replace(patch, pixels=patch.pixels.copy(), mask=patch.mask.copy(), others=others)


def read_pixels(path: Path) -> Pixels:
    """The picture, (H, W) gray or (H, W, 3) colour."""
    with Image.open(path) as image:
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def _whole_box(defect: Defect, size: tuple[int, int]) -> Box:
    """Its box in whole pixels, within a photograph of this size."""
    x, y, width, height = defect.box
    left, top = min(max(0, floor(x)), size[0]), min(max(0, floor(y)), size[1])
    right, bottom = min(ceil(x + width), size[0]), min(ceil(y + height), size[1])
    return left, top, max(0, right - left), max(0, bottom - top)


def _is_cut(defect: Defect, annotations: Annotations) -> bool:
    x, y, width, height = defect.box
    return x < 1 or y < 1 or x + width > annotations.size[0] - 1 or y + height > annotations.size[1] - 1
