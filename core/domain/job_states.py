"""The state machine of a job: pure functions from one record to the next.

::

    queued -> running -> succeeded
      ^  \\       |  \\--> failed
      |   \\------+-----> cancelled       resume: failed, cancelled -> queued
      +----------+       a failed attempt that may be repeated

Each function returns the changed record, or None where nothing changes. A field that the record does not have, or a
value that is not valid for its field, is an error; see `Record.changed`.
"""

from collections.abc import Callable
from typing import Any

from flawsmith.core.domain.jobs import FailureCounts, Job, JobState, Transition
from flawsmith.core.domain.records import now
from flawsmith.core.domain.remarks import Remarks

MAX_ERRORS = 3  # without a new checkpoint; more attempts would meet the same error
MAX_LOST_WORKERS = 10  # without a new checkpoint; the job is seldom the reason why a worker is lost


class JobEnded(Exception):
    """The job's state does not allow what was asked: it has ended, or for a resume it has not."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.kind} job {job.id} is {job.state}")
        self.job = job


class JobUnfinished(JobEnded):
    """The job has not ended, so it cannot be deleted."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.args = (f"{job.kind} job {job.id} is {job.state}; cancel it first, then delete it",)


def cancelled(job: Job) -> Job:
    """Raises JobEnded for a job that has ended."""
    if job.state.ended:
        raise JobEnded(job)
    return _moved(job, JobState.CANCELLED, "cancelled by request", finished_at=now())


def resumed(job: Job) -> Job:
    """Raises JobEnded for a job that is neither failed nor cancelled."""
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise JobEnded(job)
    return _moved(job, JobState.QUEUED, "resumed by request", finished_at=None, error=None, failures=FailureCounts())


def begun(job: Job, worker: str) -> Job | None:
    """A worker begins a segment. A new attempt starts where the job was queued."""
    if job.state.ended:
        return None
    if job.state is JobState.RUNNING:
        return job.changed(worker=worker)
    started_at, attempts = job.started_at or now(), job.attempts + 1
    return _moved(job, JobState.RUNNING, f"begun by {worker}", worker=worker, started_at=started_at, attempts=attempts)


def reported(job: Job, update: dict[str, Any]) -> Job | None:
    """A worker reports progress and other fields of the job."""
    if job.state.ended:
        return None
    if job.state is JobState.QUEUED:  # it was cancelled and resumed before its worker noticed
        job = _moved(job, JobState.RUNNING, f"{job.worker} still runs it")
    return job.changed(**update)


def finished(job: Job, state: JobState, reason: str, update: dict[str, Any]) -> Job | None:
    """A worker ends the job. A job that was cancelled meanwhile stays so, but shows what it produced."""
    if job.state.ended:
        return job.changed(**update) if state is JobState.SUCCEEDED else None
    return _moved(job, state, reason, finished_at=now(), **update)


def with_error(job: Job, checkpoint_step: int, reason: str) -> Job | None:
    """An attempt ended with an error: requeues the job, or fails it after `MAX_ERRORS` without a new checkpoint."""
    if job.state.ended:
        return None
    before = _failures_since(job, checkpoint_step)
    failures = before.changed(step=checkpoint_step, errors=before.errors + 1)
    if failures.errors < MAX_ERRORS:
        reason = f"attempt {failures.errors} of {MAX_ERRORS} from step {checkpoint_step}: {reason}"
        return _moved(job, JobState.QUEUED, reason, failures=failures)
    return _moved(job, JobState.FAILED, reason, finished_at=now(), error=reason, failures=failures)


def without_worker(job: Job, checkpoint_step: int) -> Job | None:
    """The worker of a running job was lost: requeues the job, or fails it after `MAX_LOST_WORKERS`."""
    if job.state is not JobState.RUNNING:
        return None
    before = _failures_since(job, checkpoint_step)
    failures = before.changed(step=checkpoint_step, lost_workers=before.lost_workers + 1)
    reason = f"{job.worker} was lost: it no longer renewed its lease"
    if failures.lost_workers < MAX_LOST_WORKERS:
        return _moved(job, JobState.QUEUED, reason, failures=failures)
    reason = (
        f"{reason}; {failures.lost_workers} workers in a row were lost since step {checkpoint_step}. Most lost workers "
        f"were killed because memory was short: see the log of the machine, and {job.memory_advice}"
    )
    return _moved(job, JobState.FAILED, reason, finished_at=now(), error=reason, failures=failures)


def remarked(job: Job, change: Callable[[Remarks], Remarks]) -> Job | None:
    """People changed its note or tags, in whatever state it is. Raises what the change raises."""
    after = change(job.remarks)
    return None if after == job.remarks else job.changed(**dict(after))


def merged(job: Job, other: Job) -> Job:
    """The record with more transitions, the other one where both have as many, with the later remarks of the two."""
    newest = job if len(job.transitions) > len(other.transitions) else other
    remarks = job.remarks if job.remarks.later_than(other.remarks) else other.remarks
    return newest.changed(**dict(remarks))


def _failures_since(job: Job, checkpoint_step: int) -> FailureCounts:
    """The counts, which a newer checkpoint sets back to zero."""
    return job.failures if checkpoint_step <= job.failures.step else FailureCounts(step=checkpoint_step)


def _moved(job: Job, state: JobState, reason: str, **update: Any) -> Job:
    transitions = [*job.transitions, Transition(state=state, at=now(), reason=reason)]
    return job.changed(state=state, transitions=transitions, **update)
