"""What is known of the defects of each photograph: the one form in which a dataset keeps them, and its reader.

``annotations.json`` in the folder of a dataset:

    {"format": 1,
     "photographs": [{"file": "a/1.jpg", "size": [4000, 3000], "split": "train", "clean": false,
                      "defects": [{"type": "scratch", "box": [120, 80, 40, 6], "mask": "…"}]}, …],
     "clean": [{"file": "good/1.jpg", "size": [4000, 3000], "split": null, "clean": true, "defects": []}, …]}

Entry i of ``photographs`` is about ``images/00000i.png``, entry i of ``clean`` about ``clean/00000i.png``; both
pictures have the size of the uploaded ones. A box is x, y, width and height in pixels. ``mask`` is null, or says which
pixels of the box are the defect: run lengths down the columns, as COCO compresses them. A box with a mask has whole
numbers, and is the tightest one.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.store.datasets.boxes import Size
from flawsmith.core.store.datasets.masks import Rectangle, Region
from flawsmith.core.store.datasets.outlines import decoded, encoded
from flawsmith.core.store.interface import Place

FILE = "annotations.json"
FORMAT = 1  # count it up where an earlier release could not read the result
_DECIMALS = 3  # of a box in pixels


class LaterFormat(Exception):
    """A later release wrote the annotations."""


@dataclass(frozen=True)
class Defect:
    """One annotated defect. ``runs`` are the compressed run lengths of its mask within the box, if it has one."""

    defect_type: str
    box: Rectangle
    runs: str | None = None

    def mask(self) -> NDArray[np.bool_] | None:
        """The pixels of the box that are the defect, (height, width); None for a box without a mask."""
        return None if self.runs is None else decoded(self.runs, (int(self.box[2]), int(self.box[3])))


@dataclass(frozen=True)
class Annotations:
    """All that is known of one photograph."""

    file: str  # its path in the upload
    size: Size
    defects: tuple[Defect, ...]
    clean: bool = False
    split: str | None = None

    @property
    def boxes(self) -> list[Rectangle]:
        """Of the defects, in pixels."""
        return [each.box for each in self.defects]

    def mask(self) -> NDArray[np.bool_] | None:
        """The pixels of all defects, (H, W), boxes without a mask left out; None where no defect has a mask."""
        whole = np.zeros((self.size[1], self.size[0]), bool)
        masked = False
        for each in self.defects:
            mask = each.mask()
            if mask is not None:
                x, y, width, height = (int(value) for value in each.box)
                whole[y : y + height, x : x + width] |= mask
                masked = True
        return whole if masked else None

    @property
    def is_masked(self) -> bool:
        """Whether it has defects, and every one a mask."""
        return bool(self.defects) and all(each.runs is not None for each in self.defects)

    def boxed(self) -> NDArray[np.bool_] | None:
        """The pixels in the boxes of all defects, (H, W); None without a defect."""
        if not self.defects:
            return None
        whole = np.zeros((self.size[1], self.size[0]), bool)
        for x, y, width, height in self.boxes:
            left, top = max(0, math.floor(x)), max(0, math.floor(y))
            whole[top : math.ceil(y + height), left : math.ceil(x + width)] = True
        return whole


def defect_of(region: Region, defect_type: str) -> Defect:
    """The defect that a region of a mask is."""
    return Defect(defect_type, region.rectangle, encoded(region.mask))


def write_annotations(folder: Path, photographs: Sequence[Annotations], clean: Sequence[Annotations]) -> None:
    content = {
        "format": FORMAT,
        "photographs": [_entry(each) for each in photographs],
        "clean": [_entry(each) for each in clean],
    }
    (folder / FILE).write_text(json.dumps(content))


def read_annotations(folder: Place, part: str) -> list[Annotations] | None:
    """The entries of ``photographs`` or ``clean``; None in the dataset of a release that wrote none.

    Raises:
        LaterFormat: a later release wrote them.
    """
    path = folder / FILE
    if not path.exists():
        return None
    content = json.loads(path.read_bytes())
    if content["format"] > FORMAT:
        raise LaterFormat(
            f"the dataset's annotations have format {content['format']}, and this release reads up to {FORMAT}: a "
            "later release wrote them; upload the photographs again, or use that release"
        )
    return [_annotations(each) for each in content[part]]


def _entry(annotations: Annotations) -> dict[str, Any]:
    return {
        "file": annotations.file,
        "size": annotations.size,
        "split": annotations.split,
        "clean": annotations.clean,
        "defects": [
            {"type": each.defect_type, "box": [round(value, _DECIMALS) for value in each.box], "mask": each.runs}
            for each in annotations.defects
        ],
    }


def _annotations(entry: dict[str, Any]) -> Annotations:
    width, height = entry["size"]
    return Annotations(
        file=entry["file"],
        size=(width, height),
        defects=tuple(Defect(each["type"], tuple(each["box"]), each["mask"]) for each in entry["defects"]),
        clean=entry["clean"],
        split=entry["split"],
    )
