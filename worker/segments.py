"""The Celery task that runs one segment of a job of any kind: acquire, open, advance, and enqueue the next segment."""

import logging
import time
from typing import Any

from celery import Task
from kombu.exceptions import OperationalError
from prometheus_client import Counter
from redis.exceptions import RedisError

from flawsmith.core.domain.jobs import Job, JobState, load_object
from flawsmith.core.job_kinds import job_kinds
from flawsmith.core.live.broker_transport import RUN_SEGMENT
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.live.leases import Lease, LeaseLost
from flawsmith.core.live.task_queues import worker_name
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.interface import StoreAway
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.worker.celery import app, device, device_locks, quick_services, services, stopping, training_turns
from flawsmith.worker.executor import Executor, Segment, Work
from flawsmith.worker.failures import reason_for
from flawsmith.worker.inherited_remarks import inherit_remarks
from flawsmith.worker.segment_loop import advance_until, ready_to_finish
from flawsmith.worker.task_context import working_for
from flawsmith.worker.version_sampler import UnusableVersion

log = logging.getLogger(__name__)

SEGMENTS = Counter("flawsmith_segments_total", "Segments of jobs by outcome", ["outcome"])
for _outcome in ("passed_on", "succeeded", "error", "failed", "lease_lost", "redis_away", "unknown_job"):
    SEGMENTS.labels(_outcome)  # each is there from the beginning, so that its first count is an increase

WAITED_SHARE = 0.1  # of a segment: what is worth a line in the log
STORE_PAUSE_SECONDS = 2.0  # until a job tries again whether the artifact store answers

_QUEUES = {kind.name: kind.queue for kind in job_kinds()}
_EXECUTORS: dict[str, Executor] = {kind.name: load_object(kind.executor)() for kind in job_kinds()}
_open: Work | None = None  # the work of the last segment: several segments in a row on one worker load it once


@app.task(name=RUN_SEGMENT, bind=True)
def run_segment(task: "Task[Any, Any]", job_id: str, token: str, request_id: str) -> None:
    """Runs a job for at most FLAWSMITH_SEGMENT_SECONDS. A second delivery of the same message does nothing."""
    with working_for(task, "segment", request_id, job_id):
        _run_and_pass_on(job_id, token, request_id)


def _run_and_pass_on(job_id: str, token: str, request_id: str) -> None:
    try:
        job, next_token = _run(job_id, token)
        if next_token:
            services().queues.send_segment(job, request_id, next_token)
    except UnknownJob as error:
        log.error("a message is for no job: %.200s", error)
        SEGMENTS.labels("unknown_job").inc()
    except (LeaseLost, ClaimLost) as error:
        log.warning("%s; leaving it", error)
        SEGMENTS.labels("lease_lost").inc()
    except (RedisError, OperationalError) as error:
        log.warning("job %s: Redis is away (%s); the job continues from its checkpoint", job_id, error)
        SEGMENTS.labels("redis_away").inc()


def _run(job_id: str, token: str) -> tuple[Job, str | None]:
    """The job after its segment, and the token of the next segment, if there is to be one."""
    jobs, queues = quick_services().jobs, services().queues
    with jobs.lease(job_id) as lease:
        job = jobs.get(job_id)
        if lease is None:
            log.info("job %s: another worker has its lease", job_id)
            return job, None
        if job.state is JobState.SUCCEEDED:  # its last worker died before it acknowledged this message
            _remove_checkpoints(job)
            return job, None
        if not queues.redeem_segment(job, token):
            log.info("job %s: a later segment was sent; this message does nothing", job_id)
            return job, None
        begun = jobs.begin(lease, worker_name(_QUEUES[job.kind]))
        if begun is None:
            return job, None
        try:
            with device_locks().busy():
                _advance(begun, lease)
        except (LeaseLost, ClaimLost, UnknownJob, RedisError):
            raise
        except StoreAway as error:
            _await_store(job_id, error)
            return jobs.get(job_id), queues.issue_segment(begun)
        except Exception as error:  # of any kind: the job must not hang
            return _record_failure(begun, lease, error), None
        job = jobs.get(job_id)
        return job, None if job.state.ended else queues.issue_segment(job)


def _await_store(job_id: str, error: StoreAway) -> None:
    """Pauses before the job's next segment, which begins at its newest checkpoint: the job is not at fault."""
    log.warning("job %s: %s; it continues from its checkpoint", job_id, error)
    SEGMENTS.labels("store_away").inc()
    _keep_open(None)
    stopping.wait(STORE_PAUSE_SECONDS)


def _advance(job: Job, lease: Lease) -> None:
    """Runs the segment; finishes the job where it is over."""
    jobs, store = quick_services().jobs, services().store
    segment = Segment(lease, lease.claim(store, JobFolder(store, job.id).claims), jobs)
    work = _open_work(job)
    log.info("job %s: claim %s, from step %d", job.id, segment.claim.name, work.step)
    history, turns = quick_services().history, training_turns()
    begun, waited = time.monotonic(), turns.waited
    with work.active():
        wanted = advance_until(begun + services().settings.segment_seconds, stopping, turns, work, segment, history)
    _keep_open(work)
    _log_waiting(job.id, turns.waited - waited, time.monotonic() - begun)
    if not (work.over and wanted and ready_to_finish(stopping, turns, work, segment, history)):
        SEGMENTS.labels("passed_on").inc()
        return
    result = work.finish(segment)
    inherit_remarks(jobs.get(job.id), result.fields, services())
    ended = jobs.finish(lease, JobState.SUCCEEDED, result.reason, **result.fields)
    _keep_open(None)
    log.info("job %s %s: %s", job.id, ended.state, result.reason)
    SEGMENTS.labels("succeeded").inc()
    if ended.state is JobState.SUCCEEDED:
        _remove_checkpoints(ended)


def _log_waiting(job_id: str, waited: float, seconds: float) -> None:
    """Says that sampling on the same device held up a segment, if it did for a good part of it."""
    if waited > WAITED_SHARE * seconds:
        log.info("job %s: %.1f of %.1f s went by while sampling had its device", job_id, waited, seconds)


def _remove_checkpoints(job: Job) -> None:
    """Removes the checkpoints of a job that succeeded, unless the settings keep them; its history stays."""
    if services().settings.keep_checkpoints:
        return
    folder = JobFolder(services().store, job.id)
    try:
        quick_services().history.outlive_checkpoints(job.id)
        services().store.delete(folder.checkpoints)
        services().store.delete(folder.damaged)
    except OSError as error:  # the job has succeeded all the same
        log.error("job %s: cannot remove its checkpoints: %s", job.id, error)


def _open_work(job: Job) -> Work:
    """The job at its newest checkpoint: still open from the last segment where that is the newest, else loaded.

    A new attempt always loads it: what a worker of another release wrote since is found out before it is overwritten.
    """
    newest = (job.id, job.attempts, JobFolder(services().store, job.id).checkpoint_step())
    if _open and _open.saved_step == _open.step and (_open.job.id, _open.job.attempts, _open.step) == newest:
        _open.job = job
        return _open
    _keep_open(None)
    return _EXECUTORS[job.kind].open(job)


def _keep_open(work: Work | None) -> None:
    global _open
    _open = work


def _record_failure(job: Job, lease: Lease, error: Exception) -> Job:
    """Records why the attempt failed. If the job may be tried again, the reaper sends its next segment in seconds."""
    _keep_open(None)
    jobs, lasting = quick_services().jobs, isinstance(error, (UnusableVersion, *_EXECUTORS[job.kind].lasting))
    reason = str(error) if lasting else reason_for(error, job, services().store, device())
    if lasting:
        log.error("job %s: %s", job.id, reason)
        SEGMENTS.labels("failed").inc()
        return jobs.finish(lease, JobState.FAILED, reason, error=reason)
    log.exception("job %s: %s", job.id, reason)
    SEGMENTS.labels("error").inc()
    return jobs.record_failure(lease, reason)
