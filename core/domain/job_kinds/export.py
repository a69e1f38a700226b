"""Exports: a job that writes images of a source, with their labels, into one archive."""

from typing import ClassVar

from flawsmith.core.domain.export_layouts import ExportLayout
from flawsmith.core.domain.jobs import Job, JobKind
from flawsmith.core.domain.records import Record


class ExportResult(Record):
    """What an export wrote.

    Attributes:
        images: number of them; ``types`` and ``splits`` count those of each defect type and split.
        left_out: candidates that were not exported, by the reason.
        bytes: size of the archive.
        sha256: of the archive.
    """

    images: int
    types: dict[str, int]
    splits: dict[str, int]
    left_out: dict[str, int]
    bytes: int
    sha256: str


class ExportJob(Job):
    """An export, as GET /exports/{id} shows it.

    Its images are of a ``version``, such as ``scratches@2``, or those of the composition job ``composition``.
    ``dataset`` is the id of the photographs that images are compared with, where ``max_similarity`` is set. ``archive``
    is the path of what it made.
    """

    paths: ClassVar[frozenset[str]] = frozenset({"archive"})

    kind: str = "export"
    version: str | None = None
    composition: str | None = None
    layout: ExportLayout
    dataset: str | None = None
    archive: str | None = None
    result: ExportResult | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        return (self.dataset,) if self.dataset else ()


KIND = JobKind(
    name="export",
    path="/exports",
    id_prefix="export",
    record=ExportJob,
    executor="flawsmith.worker.export:ExportExecutor",
    router="flawsmith.app.routes.exports:router",
)
