"""The annotated defects of a dataset."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any, ClassVar

import numpy as np

from flawsmith.core.domain.digital_source_type import DigitalSourceType
from flawsmith.core.store.datasets.annotations import Annotations, Defect
from flawsmith.core.store.datasets.dataset_folder import StoredPhotograph
from flawsmith.models.compositions import Patch, annotated_patches
from flawsmith.models.compositions.extraction import SURROUND
from flawsmith.models.compositions.footprint import MARGIN
from flawsmith.models.compositions.parts import Box
from flawsmith.worker.compositions.defects import FEWEST_WHOLE, MOST_BYTES, CannotPlace, DefectSource
from flawsmith.worker.compositions.hosts import read_pixels

PER_TYPE = 64  # defects of a type in a library
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


class RealDefects(DefectSource):
    """The annotated defects of a dataset by type; their pixels are read when a block needs them.

    Args:
        dataset: its id.
        title: its name.
        photographs: of the dataset.
        types: that are asked for.
    """

    source_type: ClassVar[DigitalSourceType] = "compositeCapture"  # every part is of a photograph

    def __init__(self, dataset: str, title: str, photographs: Sequence[StoredPhotograph], types: Sequence[str]) -> None:
        self.dataset, self.title, self.photographs = dataset, title, photographs
        found: dict[str, list[Origin]] = {each: [] for each in types}
        for index, photograph in enumerate(photographs):
            for number, defect in enumerate(photograph.annotations.defects):
                if defect.defect_type in found:
                    found[defect.defect_type].append(Origin(index, number))
        self.by_type: Mapping[str, list[Origin]] = {name: self._whole(origins) for name, origins in found.items()}

    def patches(self, block: int) -> Iterator[list[Patch]]:
        """Those of one photograph with each step. Raises CannotPlace: in none of its boxes does anything stand out."""
        count = 0
        for place, numbers in self.chosen(block).items():
            found = list(patches_of_annotations(self.photographs[place], place, numbers))
            count += len(found)
            yield found
        if not count:
            raise CannotPlace(
                "in none of the boxes of the defects does anything stand out of the surface, so there is nothing to "
                "cut out; annotate masks or outlines"
            )

    def chosen(self, block: int, per_type: int | None = None, most_bytes: int | None = None) -> dict[int, list[int]]:
        """The defects of a block's library: their numbers, by the photographs' places, in the dataset's order.

        Types take turns until each has ``per_type`` or all of its defects, or the patches reach ``most_bytes``;
        `PER_TYPE` and `MOST_BYTES` without them.
        """
        per_type, most_bytes = per_type or PER_TYPE, most_bytes or MOST_BYTES
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

    def describe(self, source: str) -> dict[str, Any]:
        """Dataset, file, box, and whether the mask was annotated."""
        origin = Origin.of(source)
        defect = self.defect(origin)
        return {
            "dataset": self.dataset,
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


def _whole_box(defect: Defect, size: tuple[int, int]) -> Box:
    """Its box in whole pixels, within a photograph of this size."""
    x, y, width, height = defect.box
    left, top = min(max(0, floor(x)), size[0]), min(max(0, floor(y)), size[1])
    right, bottom = min(ceil(x + width), size[0]), min(ceil(y + height), size[1])
    return left, top, max(0, right - left), max(0, bottom - top)


def _is_cut(defect: Defect, annotations: Annotations) -> bool:
    x, y, width, height = defect.box
    return x < 1 or y < 1 or x + width > annotations.size[0] - 1 or y + height > annotations.size[1] - 1
