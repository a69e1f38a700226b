"""What an export is made of: records of images with their labels, and the sources that they come from."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.domain.digital_source_type import DigitalSourceType
from flawsmith.core.domain.export_layouts import LabelKind

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first column and row outside."""


@dataclass(frozen=True)
class LabelledDefect:
    """A defect in an image.

    Attributes:
        defect_type: of the defect.
        box: around it.
        marked: (height, width) of the box, bool: its pixels; None where the source has boxes only. A mask of the whole
            image for each of a hundred defects would fill the memory.
    """

    defect_type: str
    box: Box
    marked: NDArray[np.bool_] | None = None

    @classmethod
    def of_mask(cls, defect_type: str, mask: NDArray[np.bool_]) -> "LabelledDefect":
        """The defect with this (H, W) mask. Raises ValueError if the mask is empty."""
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        if not len(rows):
            raise ValueError(f"the mask of a defect of type '{defect_type}' is empty")
        left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        return cls(defect_type, (left, top, right, bottom), mask[top:bottom, left:right].copy())

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_] | None:
        """(H, W), its pixels in the whole image of this width and height; None where the source has boxes only."""
        if self.marked is None:
            return None
        whole = np.zeros((size[1], size[0]), bool)
        left, top, right, bottom = self.box
        whole[top:bottom, left:right] = self.marked
        return whole


@dataclass(frozen=True)
class ExportRecord:
    """One image of an export.

    Attributes:
        name: of its files, without suffix; no other image of the type has it.
        defect_type: what the image shows.
        size: width and height in pixels.
        png: the image.
        address: what the archive's records say of it beside ``synthetic``: model version, type and seed.
        held: the addresses of model versions that it shows, each as (version, defect type, seed).
        defects: the labels; empty where the source has none.
        background: the photograph that it was made on, which decides its split; empty: there is none.
    """

    name: str
    defect_type: str
    size: tuple[int, int]
    png: bytes
    address: Mapping[str, Any]
    held: Sequence[tuple[str, str, int]]
    defects: Sequence[LabelledDefect] = ()
    background: str = ""

    @property
    def key(self) -> str:
        """What decides the split: the photograph behind it, else the address as one text, ``steel@2/17:scratches``."""
        return self.background or "+".join(
            f"{version}/{seed}:{defect_type}" for version, defect_type, seed in self.held
        )

    @property
    def address_texts(self) -> dict[str, str]:
        """The address where only text can be: what is no text as JSON."""
        return {name: each if isinstance(each, str) else json.dumps(each) for name, each in self.address.items()}


class RecordSource(ABC):
    """Makes an export's records, in an order that its configuration alone determines.

    Attributes:
        title: what the records are of, such as ``scratches@2``.
        classes: all defect types, in an order that never changes.
        labels: what every record comes with.
        source_type: the origin of the images, see `DigitalSourceType`.
        left_out: how many candidates were left out, by the reason.
    """

    title: str
    classes: list[str]
    labels: LabelKind
    source_type: DigitalSourceType
    left_out: Counter[str]

    @abstractmethod
    def next(self) -> list[ExportRecord]:
        """The next few records, perhaps none; at most a second of work."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether every record was made."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Where it is, as JSON: a source that starts from there continues with the same records."""
