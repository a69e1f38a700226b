"""The parts of an export under way: images and labels that are published as the job goes, as its checkpoints.

A part is the checkpoint of the step at which it ends, and holds the files of the records since the part before. Where
a part ends depends on the clock; the archive, which is made of all parts in order, does not.
"""

import io
import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flawsmith.core.store.interface import Claim, Place, Store
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.worker.checkpoints import DiskFull, NewerFormat, is_disk_full
from flawsmith.worker.exports.layouts.layout import Row
from flawsmith.worker.exports.zip_files import add_file, open_archive

log = logging.getLogger(__name__)

FORMAT = 1  # of a part; count it up where an earlier release could not continue from it
FILES, ROWS, CARD = "files.zip", "rows.jsonl", "checkpoint.json"


class DamagedPart(Exception):
    """A part cannot be read. It was removed, with all later ones: the next attempt makes them again."""


@dataclass
class OpenPart:
    """The part that is being filled, in memory."""

    files: list[tuple[str, bytes]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    size: int = 0  # of the files, in bytes

    def add(self, files: dict[str, bytes], row: Row) -> None:
        """Adds a record."""
        self.files += files.items()
        self.rows.append(row)
        self.size += sum(map(len, files.values()))


class Parts:
    """The published parts of one job.

    Args:
        store: that holds them.
        folder: of the job.
        identity: of what is exported; parts of something else are passed over.
    """

    def __init__(self, store: Store, folder: JobFolder, identity: str) -> None:
        self.store, self.folder, self.identity = store, folder, identity

    def newest(self) -> tuple[int, dict[str, Any]]:
        """The step that the published parts reach without a gap, and the source's state there.

        Removes what lies beyond. Raises NewerFormat.
        """
        step, state, is_whole = 0, dict[str, Any](), True
        for place in sorted(self.folder.checkpoints.glob("[0-9]*")):
            card = self._card(place) if is_whole else None
            if card is None or card["from"] != step:
                log.warning("job %s: part %s is made again", self.folder.path.name, place.name)
                is_whole = False
                self.store.delete(place)
                continue
            step, state = card["step"], card["state"]
        return step, state

    def publish(self, claim: Claim, part: OpenPart, first: int, state: dict[str, Any]) -> None:
        """Publishes a part that begins at the step ``first``. Raises ClaimLost, DiskFull."""
        step = first + len(part.rows)
        content = io.BytesIO()
        with open_archive(content) as archive:
            for path, data in part.files:
                add_file(archive, path, data)
        rows = "".join(json.dumps(row) + "\n" for row in part.rows).encode()
        sizes = {FILES: content.getbuffer().nbytes, ROWS: len(rows)}
        card = {"format": FORMAT, "step": step, "from": first, "of": self.identity, "state": state, "sizes": sizes}
        try:
            with claim.staged() as staged:
                (staged / FILES).write_bytes(content.getbuffer())
                (staged / ROWS).write_bytes(rows)
                (staged / CARD).write_text(json.dumps(card))
                self.store.publish(staged, self.folder.checkpoint(step))
        except OSError as error:
            if is_disk_full(error):
                raise DiskFull(sum(sizes.values())) from error
            raise

    def rows(self) -> Iterator[Row]:
        """The rows of all parts, in order. Raises DamagedPart."""
        for place in self._places():
            try:
                with (place / ROWS).open("rb") as lines:
                    yield from map(json.loads, lines)
            except (FileNotFoundError, ValueError) as error:
                raise self._damaged(place, error) from error

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The files of all parts, in order: (path, content). Raises DamagedPart."""
        for place in self._places():
            try:
                with (place / FILES).open("rb") as file, zipfile.ZipFile(file) as archive:
                    for name in archive.namelist():
                        yield name, archive.read(name)
            except (FileNotFoundError, zipfile.BadZipFile) as error:
                raise self._damaged(place, error) from error

    def _places(self) -> list[Place]:
        return sorted(self.folder.checkpoints.glob("[0-9]*"))

    def _card(self, place: Place) -> dict[str, Any] | None:
        """The card of a whole part; None for another one. Raises NewerFormat."""
        try:
            card: dict[str, Any] = json.loads((place / CARD).read_bytes())
            if card["format"] > FORMAT:
                raise NewerFormat(
                    f"part {place.name} has format {card['format']}, and this release reads up to {FORMAT}: run the "
                    "release that wrote it, or a later one, on every training worker, then resume the job"
                )
            is_whole = all((place / name).stat().st_size == size for name, size in card["sizes"].items())
            return card if is_whole and card["of"] == self.identity else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _damaged(self, place: Place, error: Exception) -> DamagedPart:
        self.store.delete(place)
        return DamagedPart(f"part {place.name} is damaged ({error}) and is made again")
