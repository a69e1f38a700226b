"""One training segment: take the job's lease, load, train for a bounded time, checkpoint, pass on or publish."""

import logging
import math
import time

from kombu.exceptions import OperationalError
from PIL import Image
from prometheus_client import Counter, Gauge, Histogram
from redis.exceptions import RedisError
from safetensors.torch import save_file

from flawsmith.core.domain.image_modes import mode_of, without_gray_axis
from flawsmith.core.domain.records import Job, JobState, ModelVersion, Progress
from flawsmith.core.live.jobs import Jobs
from flawsmith.core.live.leases import Lease, LeaseLost
from flawsmith.core.live.task_queues import TRAIN, TRAIN_SEGMENT, worker_name
from flawsmith.core.logs import request_id as current_request_id
from flawsmith.core.store.artifacts import ClaimLost
from flawsmith.core.store.images import encode_png, grid
from flawsmith.models.inference.session import device_kind
from flawsmith.models.training.fixed_samples import PREVIEW_COLUMNS
from flawsmith.worker.celery import app, device, quick_services, services, stopping, threads
from flawsmith.worker.checkpoints import newest_step, save_checkpoint
from flawsmith.worker.failures import LASTING, reason_for
from flawsmith.worker.generator_file import save_generator
from flawsmith.worker.qualification import qualify
from flawsmith.worker.training_run import Run, load_or_resume

log = logging.getLogger(__name__)

LONGEST_REPORT_SECONDS = 3.0  # between two while Redis is away
REPORT_SECONDS = 1.0  # between two reports of progress; also how soon a cancelled job is noticed
CHECKPOINT_SHARE = 0.01  # of the time goes into checkpoints, within these bounds:
SHORTEST_WITHOUT_CHECKPOINT = 2.0  # seconds of training that a crash may cost
LONGEST_WITHOUT_CHECKPOINT = 60.0

STEPS = Counter("flawsmith_training_steps_total", "Training steps done by this worker")
IMAGES = Counter("flawsmith_images_trained_total", "Real images shown to a discriminator by this worker")
SEGMENTS = Counter("flawsmith_training_segments_total", "Training segments by outcome", ["outcome"])
SIGNALS = Gauge(
    "flawsmith_training_signal", "What the last evaluation of this worker's run told; see docs/presets.md", ["signal"]
)
CHECKPOINT_SECONDS = Histogram("flawsmith_checkpoint_seconds", "Time to write one checkpoint, in seconds")

_hot: Run | None = None  # the run of the last segment: a chain on one worker loads nothing


@app.task(name=TRAIN_SEGMENT)
def train_segment(job_id: str, token: str, request_id: str) -> None:
    """Trains a job for at most FLAWSMITH_SEGMENT_SECONDS. Delivered twice, the second time does nothing."""
    current_request_id.set(request_id)
    try:
        job, following = _hold_and_train(job_id, token)
        if following:
            services().queues.send_segment(job, request_id, following)
    except (LeaseLost, ClaimLost) as error:
        log.warning("%s; leaving it", error)
        SEGMENTS.labels("lease_lost").inc()
    except (RedisError, OperationalError) as error:
        log.warning("job %s: Redis is away (%s); it goes on from its checkpoint", job_id, error)
        SEGMENTS.labels("redis_away").inc()


def _hold_and_train(job_id: str, token: str) -> tuple[Job, str | None]:
    """The job after its segment, and the token of the segment that is to follow."""
    jobs, queues = quick_services().jobs, services().queues
    with jobs.lease(job_id) as lease:
        if lease is None:
            log.info("job %s is in another worker's hands", job_id)
            return jobs.get(job_id), None
        if not queues.take_segment(job_id, token):
            log.info("job %s has a later segment; this message does nothing", job_id)
            return jobs.get(job_id), None
        job = jobs.begin(lease, worker_name(TRAIN))
        if job is None:
            return jobs.get(job_id), None
        try:
            _advance(job, lease)
        except (LeaseLost, ClaimLost, RedisError):
            raise
        except Exception as error:  # whatever went wrong, the job is told, and does not hang
            return _record_failure(jobs, lease, job, error), None
        job = jobs.get(job_id)
        return job, None if job.state.ended else queues.expect_segment(job_id)


def _advance(job: Job, lease: Lease) -> None:
    store = services().store
    lease.claim(store, store.path("jobs", job.id, "claims"))
    run = _load_or_resume(job)
    log.info("job %s: claim %s, from step %d", job.id, lease.publishing and lease.publishing.folder.name, run.step)
    run.enter()
    try:
        going_on = _train(run, lease)
    finally:
        run.leave()
    _keep_hot(run)
    if run.stop_reason and going_on:
        version = _publish(run, lease)
        reason = f"published {version.ref}, of step {version.step}"
        ended = quick_services().jobs.finish(
            lease, JobState.SUCCEEDED, reason, produced=version.ref, stop_reason=run.stop_reason
        )
        _keep_hot(None)
        log.info("job %s %s: %s", job.id, ended.state, reason)
        SEGMENTS.labels("succeeded").inc()
    else:
        SEGMENTS.labels("passed_on").inc()


def _load_or_resume(job: Job) -> Run:
    """The run at its newest checkpoint: the hot one where it stands there, else a loaded one."""
    if _hot and _hot.job.id == job.id and _hot.saved_step == _hot.step == newest_step(services().store, job.id):
        _hot.job = job
        return _hot
    _keep_hot(None)
    run = load_or_resume(job, services(), device(), threads())
    quick_services().jobs.record_history(job.id, run.history, afresh=True)
    return run


def _train(run: Run, lease: Lease) -> bool:
    """Steps until the job or the segment is over, or the worker is to stop; False where the job was cancelled."""
    segment_seconds = services().settings.segment_seconds
    begun = time.monotonic()
    reports, checkpoints = _Reports(run, lease), _Checkpoints(run, lease)
    going_on = True
    while going_on and not run.stop_reason and not stopping.is_set() and time.monotonic() - begun < segment_seconds:
        before = time.monotonic()
        if run.advance():
            reports.unreported.append(run.history[-1])
        STEPS.inc()
        if run.evaluation_due:
            _evaluate(run, lease)
        run.trained_seconds += time.monotonic() - before
        if reports.due:
            going_on = reports.send_if_possible()
        if checkpoints.due and not run.stop_reason:  # the last one is saved when it is evaluated
            checkpoints.save()
    if going_on and run.stop_reason and not run.evaluated and (run.recorded or run.record()):
        _evaluate(run, lease)
        reports.unreported.append(run.history[-1])
    going_on = going_on and reports.send_if_possible()
    if run.step != run.saved_step or run.stop_reason:
        checkpoints.save()
    return going_on and reports.send_if_possible()


class _Reports:
    """Shows how far a run is, and how fast, where Redis can be reached."""

    def __init__(self, run: Run, lease: Lease) -> None:
        self.run, self.lease = run, lease
        self.since, self.step = time.monotonic(), run.step
        self.unreported: list[dict[str, float]] = []
        self.unheard = False  # Redis was away at the last report: each try costs a wait

    @property
    def due(self) -> bool:
        return time.monotonic() - self.since >= (LONGEST_REPORT_SECONDS if self.unheard else REPORT_SECONDS)

    def send_if_possible(self) -> bool:
        """False where the job has ended meanwhile. Training goes on while Redis is away: the store is what lasts."""
        try:
            going_on = self._send()
            self.unheard = False
            return going_on
        except RedisError as error:
            self.unheard = True
            log.warning("job %s: cannot report step %d: %s", self.run.job.id, self.run.step, error)
            self.since, self.step = time.monotonic(), self.run.step
            return True

    def _send(self) -> bool:
        run, trainer, jobs = self.run, self.run.trainer, quick_services().jobs
        images = (run.step - self.step) * trainer.batch_size
        IMAGES.inc(images)
        rate = images / max(time.monotonic() - self.since, 1e-9) or run.job.progress.images_per_second
        left = (run.total_steps - run.step) * trainer.batch_size
        progress = Progress(
            step=run.step,
            total_steps=run.total_steps,
            epoch=round(run.step / trainer.steps_per_epoch, 3),
            images_per_second=round(rate, 2) if rate else None,
            eta_seconds=round(min(left / rate, run.seconds_left), 1) if rate else None,
        )
        run.job = run.job.model_copy(update={"progress": progress})
        losses = {name: value for name, value in run.losses.items() if math.isfinite(value)}
        going_on = jobs.report(self.lease, progress, losses, run.health, run.saved_step or None)
        jobs.record_history(run.job.id, self.unreported)
        self.since, self.step, self.unreported = time.monotonic(), run.step, []
        return going_on


class _Checkpoints:
    """Decides when a run is saved: the dearer a checkpoint, the rarer.

    After workers that vanished the first one comes sooner: so even a job whose workers live for moments comes on.
    """

    def __init__(self, run: Run, lease: Lease) -> None:
        self.run, self.lease = run, lease
        self.saved_at = time.monotonic()

    @property
    def due(self) -> bool:
        pause = min(
            max(self.run.checkpoint_seconds / CHECKPOINT_SHARE, SHORTEST_WITHOUT_CHECKPOINT), LONGEST_WITHOUT_CHECKPOINT
        )
        failures = self.run.job.failures
        vanished = failures.lost_workers if self.run.saved_step <= failures.step else 0
        return time.monotonic() - self.saved_at >= pause * 0.5**vanished

    def save(self) -> None:
        """Raises ClaimLost where another worker has the job."""
        assert self.lease.publishing is not None
        run, begun = self.run, time.monotonic()
        save_checkpoint(services().store, self.lease.publishing, run.job.id, run.checkpoint())
        run.saved_step, self.saved_at = run.step, time.monotonic()
        run.checkpoint_seconds = self.saved_at - begun
        CHECKPOINT_SECONDS.observe(run.checkpoint_seconds)
        log.info("job %s: checkpoint at step %d of %d", run.job.id, run.step, run.total_steps)


def _evaluate(run: Run, lease: Lease) -> None:
    """Measures the run's images, and shows the sample grid of the step."""
    assert lease.publishing is not None
    jobs, signals = quick_services().jobs, run.evaluate()
    for name, value in signals.items():
        SIGNALS.labels(name).set(value)
    pixels = run.trainer.preview().permute(0, 2, 3, 1).numpy()
    sheet = grid([Image.fromarray(without_gray_axis(each)) for each in pixels], PREVIEW_COLUMNS)
    lease.publishing.write_bytes(jobs.sample_path(run.job.id, run.step), encode_png(sheet))
    try:
        jobs.tell(lease, "samples", {"step": run.step, "distance": signals["distance"]})
    except RedisError as error:
        log.warning("job %s: cannot tell of the samples at step %d: %s", run.job.id, run.step, error)


def _publish(run: Run, lease: Lease) -> ModelVersion:
    """Publishes the networks of the best step."""
    assert lease.publishing is not None
    assert run.best is not None
    config = run.job.config
    with lease.publishing.staged() as staged:
        for name, weights in run.best.networks.items():
            if name != "generator":
                save_file(weights, staged / f"{name}.safetensors")
        essentials = {
            "preset": run.job.preset,
            "classes": config["classes"],
            "resolution": config["resolution"],
            "mode": mode_of(config["channels"]),
            "config": config,
            "precision": qualify(run.job.preset, config, run.best.networks["generator"], run.device),
            "qualified_on": device_kind(run.device),
        }
        digest = save_generator(run.best.networks["generator"], staged / "generator.safetensors", essentials)
        return services().registry.publish(
            run.job.model,
            staged,
            **essentials,
            weights_sha256=digest,
            training_job=run.job.id,
            dataset_digest=run.dataset_digest,
            step=run.best.step,
            distance=run.best.distance,
            health=run.health,
            analysis=run.analysis(),
        )


def _keep_hot(run: Run | None) -> None:
    global _hot
    _hot = run


def _record_failure(jobs: Jobs, lease: Lease, job: Job, error: Exception) -> Job:
    """Tells the job what went wrong. Where it may be tried again, the reaper sends it, seconds later."""
    _keep_hot(None)
    reason = reason_for(error, job, services().store, device())
    if isinstance(error, LASTING):
        log.error("job %s: %s", job.id, reason)
        SEGMENTS.labels("failed").inc()
        return jobs.finish(lease, JobState.FAILED, reason, error=reason)
    log.exception("job %s: %s", job.id, reason)
    SEGMENTS.labels("record_failure").inc()
    return jobs.record_failure(lease, reason)
