"""One training segment: take the job's lease, load, train for a bounded time, checkpoint, pass on or publish."""

import logging
import math
import time
from dataclasses import dataclass, field

import torch
from PIL import Image
from prometheus_client import Counter, Histogram
from safetensors.torch import save_file

from core.datasets import UnknownDataset
from core.images import encode_png, grid
from core.jobs import Jobs, Lease, LeaseLost
from core.logs import request_id as current_request_id
from core.queues import TRAIN, TRAIN_SEGMENT, worker_name
from core.records import Job, JobState, ModelVersion, Progress
from models.presets import build_trainer
from models.trainer import PREVIEW_COLUMNS, Trainer
from worker.celery import app, device, services, stopping
from worker.checkpoints import Checkpoint, newest_checkpoint, save_checkpoint

log = logging.getLogger(__name__)

REPORT_SECONDS = 1.0  # between two reports of progress; also how soon a cancelled job is noticed
LONGEST_WITHOUT_CHECKPOINT = 50.0  # seconds of training that a crash may cost
HISTORY_POINTS = 1000  # recorded steps of a whole job
SAMPLE_GRIDS = 50  # sample grids of a whole job

STEPS = Counter("flawsmith_training_steps_total", "Training steps done by this worker")
IMAGES = Counter("flawsmith_images_trained_total", "Real images shown to a discriminator by this worker")
SEGMENTS = Counter("flawsmith_training_segments_total", "Training segments by outcome", ["outcome"])
CHECKPOINT_SECONDS = Histogram("flawsmith_checkpoint_seconds", "Time to write one checkpoint, in seconds")


class Diverged(Exception):
    """A loss is no longer a finite number."""


@dataclass
class Run:
    """A job's trainer between two segments, and what it has recorded."""

    job: Job
    dataset_digest: str
    trainer: Trainer
    history: list[dict[str, float]] = field(default_factory=list)
    saved_step: int = -1

    @property
    def total_steps(self) -> int:
        return int(self.job.config["total_steps"])

    @property
    def finished(self) -> bool:
        return self.trainer.completed_steps >= self.total_steps


_hot: Run | None = None  # the run of the last segment: a chain on one worker loads nothing


@app.task(name=TRAIN_SEGMENT)
def train_segment(job_id: str, token: str, request_id: str) -> None:
    """Trains a job for at most FLAWSMITH_SEGMENT_SECONDS. Delivered twice, the second time does nothing."""
    current_request_id.set(request_id)
    jobs, queues = services().jobs, services().queues
    with jobs.lease(job_id) as lease:
        if lease is None:
            log.info("job %s is in another worker's hands", job_id)
            return
        if not queues.take_segment(job_id, token):
            log.info("job %s has a later segment; this message does nothing", job_id)
            return
        job = jobs.begin(lease, worker_name(TRAIN))
        if job is None:
            return
        try:
            _advance(job, lease)
        except LeaseLost as error:
            log.warning("%s; leaving it", error)
            SEGMENTS.labels("lease_lost").inc()
            return
        except Exception as error:  # whatever went wrong, the job ends with a reason instead of hanging
            _fail(jobs, lease, error)
            return
        following = None if jobs.get(job_id).state.ended else queues.expect_segment(job_id)
    if following:
        queues.send_segment(job_id, request_id, following)


def _advance(job: Job, lease: Lease) -> None:
    run = _take_up(job)
    try:
        _train(run, lease)
    finally:
        _keep_hot(run)
    if run.finished and not services().jobs.get(job.id).state.ended:
        version = _publish(run)
        services().jobs.finish(lease, JobState.SUCCEEDED, f"published {version.ref}", produced=version.ref)
        _keep_hot(None)
        log.info("job %s succeeded: %s", job.id, version.ref)
        SEGMENTS.labels("succeeded").inc()
    else:
        SEGMENTS.labels("passed_on").inc()


def _take_up(job: Job) -> Run:
    """The run at its newest checkpoint: the hot one where it stands there, else a loaded one."""
    checkpoint = newest_checkpoint(services().store, job.id)
    step = checkpoint.step if checkpoint else 0
    if _hot and _hot.job.id == job.id and _hot.saved_step == step == _hot.trainer.completed_steps:
        _hot.job = job
        return _hot
    images, type_index, classes = services().datasets.load(job.dataset, job.config["resolution"])
    trainer = build_trainer(
        job.preset,
        job.config,
        torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(type_index),
        len(classes),
        device(),
    )
    run = Run(job, services().datasets.get(job.dataset).digest, trainer)
    if checkpoint:
        trainer.load_state_dict(checkpoint.state)
        run.history, run.saved_step = checkpoint.history, checkpoint.step
    services().jobs.record_history(job.id, run.history, afresh=True)
    return run


def _train(run: Run, lease: Lease) -> None:
    """Steps until the job or the segment is over, or the job was cancelled, or the worker is to stop."""
    settings = services().settings
    parts = math.ceil(settings.segment_seconds / LONGEST_WITHOUT_CHECKPOINT)
    begun = saved = time.monotonic()
    meter = _Meter(run)
    while not run.finished and not stopping.is_set() and time.monotonic() - begun < settings.segment_seconds:
        losses = run.trainer.step()
        step = run.trainer.completed_steps
        STEPS.inc()
        if not all(map(math.isfinite, losses.values())):
            raise Diverged(_diverged(run, losses))
        if step % max(1, run.total_steps // HISTORY_POINTS) == 0 or step == 1:
            run.history.append({"step": step, **losses})
            meter.unreported.append(run.history[-1])
        if step % max(1, run.total_steps // SAMPLE_GRIDS) == 0 or step == 1:
            _write_sample(run)
        if meter.due() and not meter.report(lease, losses):
            log.info("job %s was cancelled at step %d", run.job.id, step)
            break
        if time.monotonic() - saved >= settings.segment_seconds / parts:
            _save(run)
            saved = time.monotonic()
    if run.history:  # also asks, before anything is written, whether the job is this worker's still
        meter.report(lease, losses={k: v for k, v in run.history[-1].items() if k != "step"})
    if run.trainer.completed_steps != run.saved_step:
        _save(run)


class _Meter:
    """Measures a run's speed between two reports of its progress."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.since, self.step = time.monotonic(), run.trainer.completed_steps
        self.unreported: list[dict[str, float]] = []

    def due(self) -> bool:
        return time.monotonic() - self.since >= REPORT_SECONDS

    def report(self, lease: Lease, losses: dict[str, float]) -> bool:
        """False where the job has ended meanwhile."""
        run, trainer, jobs = self.run, self.run.trainer, services().jobs
        images = (trainer.completed_steps - self.step) * trainer.config.batch_size
        IMAGES.inc(images)
        rate = images / max(time.monotonic() - self.since, 1e-9) or run.job.progress.images_per_second
        left = (run.total_steps - trainer.completed_steps) * trainer.config.batch_size
        progress = Progress(
            step=trainer.completed_steps,
            total_steps=run.total_steps,
            epoch=round(trainer.completed_steps / trainer.steps_per_epoch, 3),
            images_per_second=round(rate, 2) if rate else None,
            eta_seconds=round(left / rate, 1) if rate else None,
        )
        jobs.record_history(run.job.id, self.unreported)
        self.since, self.step, self.unreported = time.monotonic(), trainer.completed_steps, []
        run.job = run.job.model_copy(update={"progress": progress})
        return jobs.report(lease, progress, losses)


def _save(run: Run) -> None:
    step = run.trainer.completed_steps
    with CHECKPOINT_SECONDS.time():
        save_checkpoint(services().store, run.job.id, Checkpoint(step, run.trainer.state_dict(), run.history))
    run.saved_step = step
    log.info("job %s: checkpoint at step %d of %d", run.job.id, step, run.total_steps)


def _write_sample(run: Run) -> None:
    pixels = run.trainer.preview().permute(0, 2, 3, 1).numpy()
    sheet = grid([Image.fromarray(each.squeeze()) for each in pixels], PREVIEW_COLUMNS)
    step = run.trainer.completed_steps
    services().store.write_bytes(services().jobs.sample_path(run.job.id, step), encode_png(sheet))
    services().jobs.emit(run.job.id, "samples", {"step": step})


def _publish(run: Run) -> ModelVersion:
    config = run.job.config
    with services().store.staged() as staged:
        weights = staged / "generator.safetensors"
        save_file({k: v.contiguous().cpu() for k, v in run.trainer.generator.state_dict().items()}, weights)
        return services().registry.publish(
            run.job.model,
            weights,
            classes=config["classes"],
            resolution=config["resolution"],
            mode="L" if config["channels"] == 1 else "RGB",
            preset=run.job.preset,
            config=config,
            training_job=run.job.id,
            dataset_digest=run.dataset_digest,
        )


def _keep_hot(run: Run | None) -> None:
    global _hot
    _hot = run


def _diverged(run: Run, losses: dict[str, float]) -> str:
    bad = ", ".join(name for name, value in losses.items() if not math.isfinite(value))
    good = (
        f"the last good checkpoint is at step {run.saved_step}" if run.saved_step > 0 else "there is no checkpoint yet"
    )
    return (
        f"{bad} became NaN or infinite at step {run.trainer.completed_steps}; {good}. "
        "Lower generator_learning_rate and discriminator_learning_rate, or try another seed."
    )


def _fail(jobs: Jobs, lease: Lease, error: Exception) -> None:
    _keep_hot(None)
    SEGMENTS.labels("failed").inc()
    if isinstance(error, Diverged | UnknownDataset):
        reason = str(error)
        log.error("job %s: %s", lease.job_id, reason)
    else:
        reason = f"{type(error).__name__} in the worker; its log has the details under this job's id"
        log.exception("job %s failed", lease.job_id)
    jobs.finish(lease, JobState.FAILED, reason, error=reason)
