"""The images of a composition job that has succeeded, as records of an export."""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawsmith.core.domain.digital_source_type import source_type_of
from flawsmith.core.domain.export_layouts import LabelKind
from flawsmith.core.store.interface import Place
from flawsmith.worker.compositions.defects import held_addresses
from flawsmith.worker.compositions.hosts import background_key
from flawsmith.worker.exports.archive import manifest_head, manifest_rows
from flawsmith.worker.exports.layouts.layout import Row
from flawsmith.worker.exports.records import ExportRecord, LabelledDefect, RecordSource

IN_A_PASS = 4


class NoArchive(Exception):
    """The composition job was deleted."""


class FinishedCompositions(RecordSource):
    """Reads images, masks and what is said of them in the job's archive: the same bytes as there.

    Args:
        archive: of the composition job.
        job_id: its id.
        count: images, the first ones.
        state: where to continue; empty: at the beginning.

    Raises:
        NoArchive: there is none.
    """

    def __init__(self, archive: Place, job_id: str, count: int, state: Mapping[str, Any]) -> None:
        self._count, self._made = count, state.get("made", 0)
        self.labels, self.left_out = LabelKind.MASKS, Counter[str]()
        try:
            self._archive = zipfile.ZipFile(archive.open("rb"))  # open to the end: its directory may be long
        except FileNotFoundError:
            raise NoArchive(f"composition job {job_id} was deleted, and its images with it") from None
        head = manifest_head(self._archive)
        self.title, self.classes = head["of"], head["types"]
        self.source_type = source_type_of(head["digital_source_type"])
        self._rows = islice(manifest_rows(self._archive), self._made, count)

    @property
    def over(self) -> bool:
        return bool(self._made == self._count)

    def state(self) -> dict[str, Any]:
        return {"made": self._made}

    def next(self) -> list[ExportRecord]:
        """The next few images."""
        records = list(map(self._record, islice(self._rows, IN_A_PASS)))
        self._made += len(records)
        return records

    def _record(self, row: Row) -> ExportRecord:
        with Image.open(io.BytesIO(self._archive.read(row["mask"]))) as image:
            numbers = np.asarray(image)
        return ExportRecord(
            name=str(row["seed"]),
            defect_type=row["defect_type"],
            size=(numbers.shape[1], numbers.shape[0]),
            png=self._archive.read(row["file"]),
            address={name: row[name] for name in ("defect_type", "seed", "composition")},
            held=held_addresses(row["composition"]["parts"]),
            defects=[_labelled(numbers, number, each) for number, each in enumerate(row["defects"], 1)],
            background=background_key(row["composition"]["background"]),
        )


def _labelled(numbers: NDArray[np.uint8], number: int, defect: Mapping[str, Any]) -> LabelledDefect:
    """The defect that has this number in the mask's picture."""
    left, top, right, bottom = defect["box"]
    return LabelledDefect(defect["defect_type"], (left, top, right, bottom), numbers[top:bottom, left:right] == number)
