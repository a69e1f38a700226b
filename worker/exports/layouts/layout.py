"""What a layout of an export does: it places each image, writes the labels beside it, and the files that list all."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flawsmith.core.domain.digital_source_type import DigitalSourceType
from flawsmith.core.domain.export_layouts import LabelKind
from flawsmith.core.domain.folder_names import folder_names
from flawsmith.worker.exports.records import ExportRecord

Row = dict[str, Any]
"""What is kept of a record until the archive is complete, as JSON: ``file``, ``split``, ``size`` and its address."""

Rows = Callable[[], Iterator[Row]]
"""All rows in order, anew with each call; never all of them in memory."""

MANIFEST = "manifest.json"
ONLY_SPLIT = "train"  # where a layout needs a split and none was asked for


class LayoutWriter(ABC):
    """Writes one layout.

    Args:
        title: what the images are of, such as ``scratches@2``.
        classes: all defect types of the source.
        labels: what its images come with.
        splits: that were asked for; empty: none.
        source_type: the origin of the images.
    """

    def __init__(
        self,
        title: str,
        classes: list[str],
        labels: LabelKind,
        splits: list[str],
        source_type: DigitalSourceType,
    ) -> None:
        self.title, self.classes, self.labels, self.splits = title, classes, labels, splits
        self.source_type = source_type
        self.folders = folder_names(classes, reserved=(MANIFEST,))
        self._stems = _without_spaces(self.folders)

    @property
    def has_masks(self) -> bool:
        return self.labels is LabelKind.MASKS

    @property
    def named_splits(self) -> list[str]:
        """The splits, of which there is at least one."""
        return self.splits or [ONLY_SPLIT]

    @abstractmethod
    def write(self, record: ExportRecord, split: str | None) -> tuple[dict[str, bytes], Row]:
        """The files of a record, and its row."""

    def summary(self, rows: Rows) -> dict[str, Any]:
        """What the manifest says of the labels as a whole."""
        return {}

    def listed(self, rows: Rows) -> Iterator[tuple[str, Iterator[bytes]]]:
        """The files that come from all rows together: (path, content in pieces)."""
        return iter(())

    def unique_name(self, record: ExportRecord) -> str:
        """The name of a record's files where images of all types are in one folder: ``scratches-17``."""
        return f"{self._stems[record.defect_type]}-{record.name}"


def row_of(record: ExportRecord, file: str, split: str | None, **more: Any) -> Row:
    """The row of a record whose image is at ``file``. What starts with an underscore is not shown in the manifest."""
    row: Row = {"file": file}
    if split is not None:
        row["split"] = split
    if record.defects:
        row["defects"] = [{"defect_type": each.defect_type, "box": list(each.box)} for each in record.defects]
    return {**row, **more, "synthetic": True, **record.address, "_size": list(record.size), "_held": list(record.held)}


def _without_spaces(names: Mapping[str, str]) -> dict[str, str]:
    """The names with other characters for spaces, which end a name in the lists of VOC; no two are the same."""
    found: dict[str, str] = {}
    for key, name in names.items():
        stem = "_".join(name.split())
        while stem.casefold() in {each.casefold() for each in found.values()}:
            stem += "_"
        found[key] = stem
    return found


def shown(row: Mapping[str, Any]) -> Row:
    """What of a row a reader of the archive sees."""
    return {name: value for name, value in row.items() if not name.startswith("_")}
