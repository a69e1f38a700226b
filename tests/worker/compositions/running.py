"""Runs composition jobs, and exports of them, to their ends."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.worker.compositions.material import Workshop

from flawsmith.core.domain.job_kinds.composition import CompositionJob
from flawsmith.core.domain.job_kinds.export import KIND as EXPORTS
from flawsmith.core.domain.job_kinds.export import ExportJob
from flawsmith.core.domain.jobs import Progress
from flawsmith.core.store.export_files import archive_file
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.worker.composition import CompositionExecutor
from flawsmith.worker.executor import Executor, Result, Segment
from flawsmith.worker.export import ExportExecutor


def segment(workshop: Workshop, job: CompositionJob | ExportJob) -> Segment:
    claim = workshop.store.claim(JobFolder(workshop.store, job.id).claims)
    return Segment(cast(Any, SimpleNamespace(job_id=job.id)), claim, cast(Any, None))


def run(workshop: Workshop, job: CompositionJob | ExportJob) -> Result:
    """Runs a job from its newest part to the end."""
    executor: Executor = CompositionExecutor() if isinstance(job, CompositionJob) else ExportExecutor()
    work, held = executor.open(job), segment(workshop, job)
    while not work.over:
        work.advance(held)
    work.save(held)
    for _ in work.before_finish():
        pass
    return work.finish(held)


def archive(workshop: Workshop, job: CompositionJob | ExportJob) -> Path:
    return archive_file(JobFolder(workshop.store, job.id))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def exported(workshop: Workshop, job: CompositionJob, layout: str, count: int = 8, split: Any = None) -> ExportJob:
    made = EXPORTS.new_job(
        config={"layout": layout, "split": split, "priority": 0, "count": count},
        progress=Progress(total_steps=count),
        composition=job.id,
        layout=layout,
    )
    run(workshop, cast(ExportJob, made))
    return cast(ExportJob, made)
