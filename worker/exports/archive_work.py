"""Jobs that write records of a source in parts, and at the end one archive of them all."""

import hashlib
import json
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch

from flawsmith.core.domain.export_layouts import ExportLayout
from flawsmith.core.domain.export_splits import split_of
from flawsmith.core.domain.jobs import Job, JobKind
from flawsmith.core.domain.records import Record
from flawsmith.core.store.export_files import addresses_file, archive_file
from flawsmith.worker.celery import threads
from flawsmith.worker.checkpoints import DiskFull, is_disk_full
from flawsmith.worker.determinism import choose_kernels
from flawsmith.worker.executor import Result, Segment, Work
from flawsmith.worker.exports.archive import Contents, write_archive
from flawsmith.worker.exports.layouts import WRITERS
from flawsmith.worker.exports.parts import OpenPart, Parts
from flawsmith.worker.exports.records import RecordSource

PART_BYTES = 16 * 2**20  # that wait in memory at most


class ArchiveWork(Work):
    """Such a job under way. A step is a record; it is saved once a part with it is published.

    Args:
        job: the job.
        layout: of its archive.
        parts: that are published already.
        saved_step: the step that they reach.
        source: of the records, at that step.
    """

    kind: ClassVar[JobKind]

    def __init__(self, job: Job, layout: ExportLayout, parts: Parts, saved_step: int, source: RecordSource) -> None:
        super().__init__(job, saved_step)
        self.parts, self.source, self._open_part = parts, source, OpenPart()
        shares: dict[str, float] = job.config["split"] or {}
        self.shares = shares
        self.writer = WRITERS[layout](source.title, source.classes, source.labels, list(shares), source.source_type)
        self._staging, self._archive, self._contents = ExitStack(), Path(), Contents()
        self._opened = time.monotonic(), self.step

    @property
    def step(self) -> int:
        return self.saved_step + len(self._open_part.rows)

    @property
    def over(self) -> bool:
        return self.source.over

    @contextmanager
    def active(self) -> Iterator[None]:
        choose_kernels(False)
        torch.set_num_threads(threads())
        self._opened = time.monotonic(), self.step
        yield

    def advance(self, segment: Segment) -> None:
        """Adds the records of one pass of the source. Raises what the source raises."""
        for record in self.source.next():
            split = split_of(record.key, self.shares) if self.shares else None
            self._open_part.add(*self.writer.write(record, split))
        if self._open_part.size > PART_BYTES:
            self.save(segment)

    def save(self, segment: Segment) -> None:
        """Publishes the records since the last part. Raises ClaimLost, DiskFull."""
        part, first = self._open_part, self.saved_step
        if part.rows:
            self.parts.publish(segment.claim, part, first, self.source.state())
            self._open_part, self.saved_step = OpenPart(), first + len(part.rows)

    def report(self) -> dict[str, Any]:
        seconds, steps = time.monotonic() - self._opened[0], self.step - self._opened[1]
        left = self.job.progress.total_steps - self.step
        eta = round(left * seconds / steps, 1) if steps else self.job.progress.eta_seconds
        return {"progress": self.job.progress.changed(step=self.step, eta_seconds=eta)}

    def before_finish(self) -> Iterator[None]:
        """Makes the archive of all parts, beside the job's folder until it is whole. Raises DamagedPart, DiskFull."""
        self._staging.close()
        self._archive = self._staging.enter_context(self.parts.store.staged()) / archive_file(self.parts.folder).name
        try:
            for contents in write_archive(self._archive, self.parts, self.writer, self.about()):
                self._contents = contents
                yield
        except OSError as error:
            if is_disk_full(error):
                parts = self.parts.folder.checkpoints.glob("*/*")
                raise DiskFull(sum(each.stat().st_size for each in parts)) from error
            raise

    def finish(self, segment: Segment) -> Result:
        """Publishes the archive. Raises ClaimLost."""
        folder, contents = self.parts.folder, self._contents
        segment.claim.write_bytes(addresses_file(folder), contents.held.to_bytes())
        segment.claim.publish_file(self._archive, archive_file(folder))
        self._staging.close()
        path = f"{self.kind.path}/{self.job.id}/archive"
        result, reason = self.result(contents), f"wrote {contents.types.total()} images of {self.source.title}"
        return Result(reason, {"archive": path, "result": result, **self.report()})

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What the manifest says of the job beside its images."""

    @abstractmethod
    def result(self, contents: Contents) -> Record:
        """What the job's record says of the archive."""


def identity_of(*described: Any) -> str:
    """What a part of a job is of; parts of something else are passed over."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
