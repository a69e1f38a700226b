"""Event files of TensorBoard, one for each job: ``FOLDER/MODEL/JOB/events.out.tfevents.…``.

A file is appended to, and cut back to what was noted before a new process goes on with it. TensorBoard itself would put
the name of this machine into the file's name.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import text

from flawsmith.core.store.durable_files import sync_folder
from flawsmith.trackers.facts import Facts
from flawsmith.trackers.tracker import Point, RunLost, Tracker

VERSION = "brain.Event:2"


class EventFiles(Tracker):
    """The event files below a folder."""

    name = "TensorBoard"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, facts: Facts) -> str:
        """The run's name is the path of its file below the folder. A file without notes of it begins anew."""
        run = f"{facts.job.model}/{facts.job.id}/events.out.tfevents.{round(facts.began):010d}.flawsmith"
        path = self.folder / run
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        sync_folder(path.parent)
        self._append(run, Event(wall_time=facts.began, file_version=VERSION))
        self._text(run, "job", _table(facts.parameters), facts.began)
        return run

    def go_on(self, run: str, mark: int) -> None:
        path = self.folder / run
        if not path.exists():
            raise RunLost(f"{run} was deleted")
        if 0 < mark < path.stat().st_size:
            os.truncate(path, mark)

    def mark(self, run: str) -> int:
        try:
            return (self.folder / run).stat().st_size
        except FileNotFoundError:
            raise RunLost(f"{run} was deleted") from None

    def describe(self, run: str, facts: Facts) -> None:
        self._text(run, "state", _table(facts.tags), facts.ended or facts.began)

    def note(self, run: str, facts: Facts) -> None:
        noted = facts.job.noted_at or facts.job.created_at
        tags = f"\n\nTags: {', '.join(facts.job.tags)}" if facts.job.tags else ""
        self._text(run, "note", (facts.job.note or "") + tags, noted.timestamp())

    def points(self, run: str, points: Sequence[Point], at: float) -> None:
        events = [
            Event(
                wall_time=at,
                step=step,
                summary=Summary(value=[Summary.Value(tag=name, simple_value=each) for name, each in values.items()]),
            )
            for step, values in points
        ]
        self._append(run, *events)

    def grid(self, run: str, step: int, picture: Path, at: float, *, again: bool) -> None:
        with Image.open(picture) as image:
            width, height, channels = image.width, image.height, len(image.getbands())
        encoded = Summary.Image(
            height=height, width=width, colorspace=channels, encoded_image_string=picture.read_bytes()
        )
        self._append(
            run, Event(wall_time=at, step=step, summary=Summary(value=[Summary.Value(tag="samples", image=encoded)]))
        )

    def report(self, run: str, files: Sequence[Path], values: Point, at: float) -> None:
        """Its measures; TensorBoard shows no pages."""
        self.points(run, [values], at)

    def _text(self, run: str, tag: str, words: str, at: float) -> None:
        self._append(run, Event(wall_time=at, summary=text(tag, words)))

    def _append(self, run: str, *events: Event) -> None:
        """The events are on disk when this returns. Raises RunLost, OSError."""
        records = b"".join(_record(each.SerializeToString()) for each in events)
        try:
            with (self.folder / run).open("rb+") as file:
                file.seek(0, os.SEEK_END)
                file.write(records)
                file.flush()
                os.fsync(file.fileno())
        except FileNotFoundError:
            raise RunLost(f"{run} was deleted") from None


def _record(data: bytes) -> bytes:
    """One record of the format TFRecord."""
    length = struct.pack("<Q", len(data))
    checksums = (struct.pack("<I", masked_crc32c(each)) for each in (length, data))
    return length + next(checksums) + data + next(checksums)


def _table(values: dict[str, str]) -> str:
    """In Markdown."""
    cells = (
        [each.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;") for each in row] for row in values.items()
    )
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in cells)
