"""Composition jobs in a worker: defects on clean photographs, with their masks, in an archive of the layout COCO."""

from typing import Any, cast

from flawsmith.core.domain.export_layouts import ExportLayout
from flawsmith.core.domain.job_kinds.composition import KIND, CompositionJob, CompositionResult
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.presets.registry import UnknownPreset
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.datasets.annotations import LaterFormat
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel
from flawsmith.worker.celery import device, services
from flawsmith.worker.checkpoints import NewerFormat
from flawsmith.worker.compositions.defects import CannotPlace
from flawsmith.worker.compositions.source import CompositionSource
from flawsmith.worker.executor import Executor, Work
from flawsmith.worker.exports.archive import Contents
from flawsmith.worker.exports.archive_work import ArchiveWork, identity_of
from flawsmith.worker.exports.parts import Parts
from flawsmith.worker.exports.records import RecordSource

LAYOUT: ExportLayout = "coco"
ASKED = ("count", "per_image", "types", "source", "blend", "split", "seed")  # of the configuration, in the manifest


class CompositionExecutor(Executor):
    """Opens composition jobs."""

    lasting = (CannotPlace, LaterFormat, NewerFormat, UnknownDataset, UnknownModel, UnknownPreset)

    def open(self, job: Job) -> Work:
        composition = cast(CompositionJob, job)
        identity = identity_of(*_materials(composition), composition.config)
        parts = Parts(services().store, JobFolder(services().store, job.id), identity)
        step, state = parts.newest()
        source = CompositionSource(composition, services(), device(), state)
        return CompositionWork(composition, parts, step, source)


class CompositionWork(ArchiveWork):
    """A composition job under way."""

    kind = KIND
    job: CompositionJob

    def __init__(self, job: CompositionJob, parts: Parts, saved_step: int, source: RecordSource) -> None:
        super().__init__(job, LAYOUT, parts, saved_step, source)

    def about(self) -> dict[str, Any]:
        config = self.job.config
        return {
            "of": self.source.title,
            "layout": LAYOUT,
            "defects": self.job.defects or self.job.version,
            "background": self.job.background or config["image"],
            **{name: config[name] for name in ASKED},
            **{name: config[name] for name in ("scale", "floor") if name in config},
            "region": config["region"] and config["region"].get("polygon", "mask"),
            "left_out": dict(sorted(self.source.left_out.items())),
        }

    def result(self, contents: Contents) -> CompositionResult:
        return CompositionResult(
            images=contents.types.total(),
            defects=dict(sorted(contents.defects.items())),
            splits=dict(contents.splits),
            left_out=dict(self.source.left_out),
            bytes=contents.size,
            sha256=contents.sha256,
        )


def _materials(job: CompositionJob) -> list[str | None]:
    """What it is made of, beside what its configuration says."""
    return [job.defects, job.background] if job.defects else [job.version, job.background]
