"""Exports in a worker: images of a version or of compositions, in the layout that was asked for."""

from collections.abc import Mapping
from typing import Any, cast

from flawsmith.core.domain.job_kinds.export import KIND, ExportJob, ExportResult
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.presets.registry import UnknownPreset
from flawsmith.core.store.export_files import archive_file
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel
from flawsmith.worker.celery import device, services
from flawsmith.worker.checkpoints import NewerFormat
from flawsmith.worker.compositions.finished import FinishedCompositions, NoArchive
from flawsmith.worker.executor import Executor, Work
from flawsmith.worker.exports.archive import Contents
from flawsmith.worker.exports.archive_work import ArchiveWork, identity_of
from flawsmith.worker.exports.checked_images import NoReferences
from flawsmith.worker.exports.parts import Parts
from flawsmith.worker.exports.records import RecordSource
from flawsmith.worker.exports.version_source import TooFewPass, VersionSource

ASKED = ("split", "max_similarity", "floor", "seed", "attributes", "counts", "count")
"""Of the configuration, in the manifest."""


class ExportExecutor(Executor):
    """Opens exports."""

    lasting = (NewerFormat, NoArchive, NoReferences, TooFewPass, UnknownModel, UnknownPreset)

    def open(self, job: Job) -> Work:
        export = cast(ExportJob, job)
        identity = identity_of(export.version or export.composition, export.layout, export.config)
        parts = Parts(services().store, JobFolder(services().store, job.id), identity)
        step, state = parts.newest()
        return ExportWork(export, parts, step, _source(export, state))


class ExportWork(ArchiveWork):
    """An export under way."""

    kind = KIND
    job: ExportJob

    def __init__(self, job: ExportJob, parts: Parts, saved_step: int, source: RecordSource) -> None:
        super().__init__(job, job.layout, parts, saved_step, source)

    def about(self) -> dict[str, Any]:
        asked = {name: self.job.config[name] for name in ASKED if name in self.job.config}
        left_out = dict(sorted(self.source.left_out.items()))
        return {"of": self.source.title, "layout": self.job.layout, **asked, "left_out": left_out}

    def result(self, contents: Contents) -> ExportResult:
        return ExportResult(
            images=contents.types.total(),
            types=dict(contents.types),
            splits=dict(contents.splits),
            left_out=dict(self.source.left_out),
            bytes=contents.size,
            sha256=contents.sha256,
        )


def _source(job: ExportJob, state: Mapping[str, Any]) -> RecordSource:
    if job.composition:
        archive = archive_file(JobFolder(services().store, job.composition))
        return FinishedCompositions(archive, job.composition, job.config["count"], state)
    version = services().registry.resolve(str(job.version))
    return VersionSource(version, job.config, services(), device(), state)
