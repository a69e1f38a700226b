"""Reports in a worker: examines a published version stage by stage, and writes its quality report."""

import json
import logging
from collections.abc import Callable, Generator, Iterable
from statistics import fmean
from typing import Any, cast

from kombu.exceptions import OperationalError

from flawsmith.core.domain.job_kinds.report import KIND, STAGES, ReportJob, new_report_job
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.quality_report import Copies, QualityReport
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.logs import request_id
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.quality_floors import made_later, scores_file
from flawsmith.core.store.registry import UnknownModel
from flawsmith.core.store.version_drift import save_known_images
from flawsmith.core.store.version_report import save_report, save_report_job
from flawsmith.worker.celery import device, services
from flawsmith.worker.executor import Executor, Result, Segment, Work
from flawsmith.worker.known_images import known_images
from flawsmith.worker.reports.analysis import CopyAnalysis, PropertyAnalysis, ReportAnalysis
from flawsmith.worker.reports.copies import copy_stage
from flawsmith.worker.reports.material import Material
from flawsmith.worker.reports.page import render_page
from flawsmith.worker.reports.pictures import picture_stage
from flawsmith.worker.reports.stages import coverage_stage, curve_stage, neighbourhood_stage, verdict_stage

log = logging.getLogger(__name__)

Stage = Generator[None, None, dict[str, Any]]
"""Yields between its parts, and returns the fields of `ReportAnalysis` that it found out."""


def enqueue_report(version: ModelVersion, priority: int) -> None:
    """Has the report of a version made that a training job published; calling it again changes nothing.

    The id of the report job follows from that of the training job. So a training job may call this each time that it
    finishes: it calls before it is recorded as succeeded, and a worker that takes over from a dead one calls again. A
    job that has no message yet gets one from the reaper. Whatever else fails, the version stays published.

    Raises:
        RedisError: Redis is away; the training job will finish again, and call this again.
    """
    if not services().settings.reports:
        return
    job_id = KIND.job_id(version.training_job.partition("-")[2])
    try:
        services().jobs.get(job_id)
    except UnknownJob:
        try:
            dataset = services().datasets.of_digest(version.dataset_digest)
            job = new_report_job(version.ref, dataset.id, priority).changed(id=job_id)
            services().jobs.create(job)
            save_report_job(services().registry.folder(version), job_id, services().store.write_bytes)
            services().queues.send_segment(job, request_id.get())
        except (OSError, OperationalError, UnknownDataset) as error:
            log.error("the report of %s was not enqueued: %s", version.ref, error)


class ReportExecutor(Executor):
    """Opens report jobs."""

    lasting = (UnknownDataset, UnknownModel)

    def open(self, job: Job) -> Work:
        report_job = cast(ReportJob, job)
        version = services().registry.resolve(report_job.version)
        cards = JobFolder(services().store, job.id).checkpoint_cards()
        saved: dict[str, Any] = json.loads(cards[0].read_bytes()) if cards else {"step": 0, "analysis": {}}
        return ReportWork(report_job, version, saved["step"], ReportAnalysis.model_validate(saved["analysis"]))


class ReportWork(Work):
    """A report in the making: the stages that are done, what they found out, and the stage that is under way."""

    job: ReportJob

    def __init__(self, job: ReportJob, version: ModelVersion, step: int, analysis: ReportAnalysis) -> None:
        super().__init__(job, saved_step=step)
        self.version, self.analysis = version, analysis
        self._step = step
        self._material = Material(version, services(), device())
        self._stage: Stage | None = None

    @property
    def step(self) -> int:
        return self._step

    @property
    def over(self) -> bool:
        return self._step == len(STAGES)

    def advance(self, segment: Segment) -> None:
        """Makes the next part of a stage. A stage that was interrupted begins again: only whole ones are saved."""
        if self._stage is None:
            self._stage = _STAGES[STAGES[self._step]](self._material)
        try:
            next(self._stage)
        except StopIteration as ended:
            self.analysis = self.analysis.changed(**ended.value)
            self._stage = None
            self._step += 1

    def save(self, segment: Segment) -> None:
        self._save_scores(segment)
        path = JobFolder(services().store, self.job.id).checkpoint(self.step) / "checkpoint.json"
        saved = {"step": self.step, "analysis": self.analysis.model_dump(mode="json")}
        segment.claim.write_bytes(path, json.dumps(saved).encode())

    def finish(self, segment: Segment) -> Result:
        """Raises UnknownModel where the version was deleted meanwhile."""
        known = known_images(self._material.generator, device())
        report = _report(self.version, self.analysis).changed(known_images=known)
        history = services().history.read(self.version.training_job)
        page = render_page(self.version, report, self.analysis, history)
        folder = services().registry.folder(self.version)
        self._save_scores(segment)
        try:
            save_known_images(folder, known, segment.claim.write_bytes)
            save_report(folder, report.model_dump(mode="json"), page, segment.claim.write_bytes)
        except FileNotFoundError as error:
            raise UnknownModel(f"{self.version.ref} was deleted before its report was made") from error
        path = f"/models/{self.version.model}/versions/{self.version.version}/report"
        return Result(f"made the report of {self.version.ref}", {"report": path})

    def _save_scores(self, segment: Segment) -> None:
        """Keeps what images are scored with, for a version that was published without."""
        folder, scores = services().registry.folder(self.version), self._material.scores
        if scores and scores_file(folder) is None and folder.is_dir():
            segment.claim.write_bytes(made_later(folder), scores.to_bytes())


def _report(version: ModelVersion, analysis: ReportAnalysis) -> QualityReport:
    judged, copies = analysis.judged, analysis.copies
    assert judged and copies
    overall: dict[str, PropertyAnalysis] = {}
    for each in analysis.coverage:  # the first of a property is of all types
        overall.setdefault(each.property, each)
    return QualityReport(
        version=version.ref,
        created_at=now(),
        verdict=judged.verdict,
        leading=judged.leading,
        measures=[*judged.measures, *analysis.neighbourhoods],
        copies=_copies(copies),
        coverage={name: found.ranges for name, found in overall.items()},
        two_sample=judged.two_sample,
    )


def _copies(found: CopyAnalysis) -> Copies:
    """All types have equal weight."""
    rates = [each.samples.memorization_rate for each in found.types]
    known = [each for each in rates if each is not None]
    return Copies(
        memorization_rate=fmean(known) if known else None,
        authenticity=fmean(each.samples.authenticity for each in found.types) if found.types else None,
        worst=[each.pair for each in found.worst],
    )


def _load(material: Material) -> Stage:
    _ = material.photographs
    yield
    return {}


def _sample(material: Material) -> Stage:
    for index in range(len(material.classes)):
        yield from material.sampling(index)
    return {}


def _judge(material: Material) -> Stage:
    judged = yield from verdict_stage(material)
    return {"judged": judged}


def _look_for_copies(material: Material) -> Stage:
    found = CopyAnalysis(types=[], worst=[], random=[])
    for found in copy_stage(material):  # noqa: B007 (the last one is whole)
        yield
    return {"copies": found}


def _compare_curves(material: Material) -> Stage:
    pairs = yield from _collected(curve_stage(material))
    return {"spectra": [each for each, _ in pairs], "histograms": [each for _, each in pairs]}


def _listed(field: str, stage: Callable[[Material], Iterable[Any]]) -> Callable[[Material], Stage]:
    def run(material: Material) -> Stage:
        found = yield from _collected(stage(material))
        return {field: found}

    return run


def _collected(parts: Iterable[Any]) -> Generator[None, None, list[Any]]:
    found: list[Any] = []
    for each in parts:
        found.append(each)
        yield
    return found


_STAGES: dict[str, Callable[[Material], Stage]] = {
    "photographs": _load,
    "samples": _sample,
    "verdict": _judge,
    "neighbourhoods": _listed("neighbourhoods", neighbourhood_stage),
    "copies": _look_for_copies,
    "coverage": _listed("coverage", coverage_stage),
    "curves": _compare_curves,
    "pictures": _listed("pictures", picture_stage),
}
