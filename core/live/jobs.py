"""A training job's life: its record in Redis, its last change of state in the artifact store, its events.

Redis holds every record for quick reading. Where Redis was wiped, all of them come back from the artifact store, each
as of its last change of state.
"""

import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, WatchError

from flawsmith.core.domain.earlier_releases import SIGNALS, renamed
from flawsmith.core.domain.records import FailureCounts, Health, Job, JobState, Progress, Transition, now
from flawsmith.core.live import keys
from flawsmith.core.live.leases import Lease
from flawsmith.core.store.artifacts import ArtifactStore

ERRORS_IN_A_ROW = 3  # without a checkpoint in between: more of the same would help nobody
LOST_WORKERS_IN_A_ROW = 10  # more patience where the worker vanished: that is seldom the job's doing
EVENTS_KEPT = 1000
EVENTS_SECONDS = 24 * 3600

log = logging.getLogger(__name__)

Change = Callable[[Job], Job | None]
Event = tuple[str, dict[str, Any]]


class UnknownJob(Exception):
    """There is no training job of that id."""


class JobEnded(Exception):
    """The job has ended; what was asked for needs one that has not, or the other way round."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"training job {job.id} is {job.state}")
        self.job = job


class Jobs:
    """All training jobs. Safe to use from several processes at once."""

    def __init__(self, redis: Redis, store: ArtifactStore) -> None:
        self.redis, self.store = redis, store
        self._unsettled = False  # the store has a job that Redis was not told of

    def create(
        self, *, model: str, dataset: str, preset: str, config: dict[str, Any], health: Health | None = None
    ) -> Job:
        """Records a queued job, durably. Ids sort by the time of creation.

        Raises:
            RedisError: Redis is away, and there is no job. Where it goes away only once the job is in the artifact
                store, the job is made, and comes to Redis with the next look.
        """
        self._ensure_restored()
        at = now()
        job = Job(
            id=f"job-{time.time_ns() // 1000:014x}{secrets.token_hex(3)}",
            state=JobState.QUEUED,
            model=model,
            dataset=dataset,
            preset=preset,
            config=config,
            health=health or Health(),
            progress=Progress(total_steps=config["total_steps"]),
            created_at=at,
            transitions=[Transition(state=JobState.QUEUED, at=at, reason="submitted")],
        )
        self._persist(job)
        try:
            pipe = self.redis.pipeline()
            self._put(pipe, None, job)
            pipe.execute()
        except RedisError as error:
            log.warning("cannot tell Redis of job %s yet: %s", job.id, error)
            self._unsettled = True
        return job

    def get(self, job_id: str) -> Job:
        """Raises UnknownJob."""
        raw = self.redis.get(keys.job(job_id))
        if raw is None:
            self._ensure_restored()
            raw = self.redis.get(keys.job(job_id))
        if raw is None:
            raise UnknownJob(f"there is no training job '{job_id}'")
        return Job.model_validate_json(raw)

    def page(self, state: JobState | None, limit: int, before: str | None) -> list[Job]:
        """Newest first; ``before`` is the id after which a page goes on."""
        self._ensure_restored()
        end = f"({before}" if before else "+"
        pipe = self.redis.pipeline(transaction=False)
        for each in [state] if state else list(JobState):
            pipe.zrevrangebylex(keys.jobs_in(each), end, "-", start=0, num=limit)
        ids = sorted({job_id.decode() for page in pipe.execute() for job_id in page}, reverse=True)[:limit]
        records = self.redis.mget([keys.job(job_id) for job_id in ids]) if ids else []
        return [Job.model_validate_json(raw) for raw in records if raw]

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        self._ensure_restored()
        pipe = self.redis.pipeline(transaction=False)
        for state in JobState:
            pipe.zcard(keys.jobs_in(state))
        return dict(zip(map(str, JobState), pipe.execute(), strict=True))

    def unfinished(self) -> list[str]:
        """Ids of the jobs that have not ended."""
        self._ensure_restored()
        pipe = self.redis.pipeline(transaction=False)
        for state in (JobState.QUEUED, JobState.RUNNING):
            pipe.zrange(keys.jobs_in(state), 0, -1)
        return [job_id.decode() for page in pipe.execute() for job_id in page]

    def unfinished_with(self, dataset_id: str) -> list[str]:
        """Ids of the jobs that use a dataset and have not ended."""
        return [job_id for job_id in self.unfinished() if self.get(job_id).dataset == dataset_id]

    def leased(self, job_ids: list[str]) -> set[str]:
        """Those of the jobs that a live worker has in hand."""
        tokens = self.redis.mget([keys.job_lease(job_id) for job_id in job_ids]) if job_ids else []
        return {job_id for job_id, token in zip(job_ids, tokens, strict=True) if token}

    def cancel(self, job_id: str) -> Job:
        """Ends a job now, whether or not its worker lives; a worker that trains it sees it at its next report.

        Raises:
            UnknownJob: there is none.
            JobEnded: it had ended already.
        """

        def change(job: Job) -> Job:
            if job.state.ended:
                raise JobEnded(job)
            return _moved(job, JobState.CANCELLED, "cancelled by request", finished_at=now())

        return self._change(job_id, change)

    def resume(self, job_id: str) -> Job:
        """Makes a failed or cancelled job queued again.

        Raises:
            UnknownJob: there is none.
            JobEnded: it is neither failed nor cancelled.
        """

        def change(job: Job) -> Job:
            if job.state not in (JobState.FAILED, JobState.CANCELLED):
                raise JobEnded(job)
            return _moved(
                job, JobState.QUEUED, "resumed by request", finished_at=None, error=None, failures=FailureCounts()
            )

        return self._change(job_id, change)

    @contextmanager
    def lease(self, job_id: str) -> Iterator[Lease | None]:
        """The job's lease for as long as the block runs, or None where another worker has it."""
        lease = Lease(self.redis, job_id)
        if not lease.take():
            yield None
            return
        try:
            yield lease
        finally:
            lease.release()

    def begin(self, lease: Lease, worker: str) -> Job | None:
        """Marks the leased job as running on this worker; None where it has ended."""

        def change(job: Job) -> Job | None:
            if job.state.ended:
                return None
            if job.state is JobState.RUNNING:
                return job.model_copy(update={"worker": worker})
            return _moved(
                job,
                JobState.RUNNING,
                f"taken by {worker}",
                worker=worker,
                started_at=job.started_at or now(),
                attempts=job.attempts + 1,
            )

        job = self._change(lease.job_id, change, lease)
        return None if job.state.ended else job

    def record_failure(self, lease: Lease, reason: str) -> Job:
        """After an error in the leased job's segment: queued again, or failed where it does not come on."""
        saved = self._saved_step(lease.job_id)
        return self._change(lease.job_id, lambda job: _record_failure(job, saved, reason, error=True), lease)

    def reclaim(self, job_id: str) -> Job:
        """After nobody was found to have a running job in hand: queued again, or failed where it does not come on."""

        saved = self._saved_step(job_id)

        def change(job: Job) -> Job | None:
            if job.state is not JobState.RUNNING or self.leased([job_id]):
                return None
            return _record_failure(job, saved, f"{job.worker} was not heard of again", error=False)

        return self._change(job_id, change)

    def record_history(self, job_id: str, points: list[dict[str, float]], *, afresh: bool = False) -> None:
        """Adds recorded steps to what GET /training-jobs/{id}/history shows; afresh, in place of what was there."""
        pipe = self.redis.pipeline()
        if afresh:
            pipe.delete(keys.job_history(job_id))
        if points:
            pipe.rpush(keys.job_history(job_id), *map(json.dumps, points))
            pipe.expire(keys.job_history(job_id), EVENTS_SECONDS)
        pipe.execute()

    def history(self, job_id: str) -> list[dict[str, float]]:
        """The recorded steps: ``step``, the losses at it, and the ``distance`` where it was evaluated.

        The newest checkpoint has those up to its step, Redis those since; what stands in both is the same.
        """
        points = [*self._saved_history(job_id), *map(json.loads, self.redis.lrange(keys.job_history(job_id), 0, -1))]
        by_step = {point["step"]: renamed(point, SIGNALS) for point in points}
        return [by_step[step] for step in sorted(by_step)]

    def _checkpoints(self, job_id: str) -> list[Path]:
        return sorted(self.store.path("jobs", job_id, "checkpoints").glob("*/checkpoint.json"), reverse=True)

    def _saved_step(self, job_id: str) -> int:
        return max((int(card.parent.name) for card in self._checkpoints(job_id)), default=0)

    def _saved_history(self, job_id: str) -> list[dict[str, float]]:
        for card in self._checkpoints(job_id):
            with suppress(OSError, ValueError, KeyError):  # a damaged one: the one before is older, not wrong
                return list(self.store.read_json(card)["history"])
        return []

    def sample_path(self, job_id: str, step: int) -> Path:
        """Where the sample grid of a step is, if there is one."""
        return self.store.path("jobs", job_id, "samples", f"{step:09d}.png")

    def latest_sample(self, job_id: str) -> Path | None:
        """The newest sample grid."""
        return max(self.store.path("jobs", job_id, "samples").glob("[0-9]*.png"), default=None)

    def report(
        self,
        lease: Lease,
        progress: Progress,
        losses: dict[str, float],
        health: Health,
        checkpoint_step: int | None = None,
    ) -> bool:
        """Shows how far the leased job is; False where it has ended meanwhile, so that the worker stops."""
        update = {"progress": progress, "losses": losses, "health": health, "checkpoint_step": checkpoint_step}

        def change(job: Job) -> Job | None:
            if job.state.ended:
                return None
            if job.state is JobState.QUEUED:  # cancelled and resumed before its worker saw it
                job = _moved(job, JobState.RUNNING, f"still in the hands of {job.worker}")
            return job.model_copy(update=update)

        event = ("progress", {"progress": progress.model_dump(), "losses": losses})
        return not self._change(lease.job_id, change, lease, event).state.ended

    def tell(self, lease: Lease, event: str, data: dict[str, Any]) -> None:
        """Adds an event of the leased job to its stream, unless it has ended meanwhile."""
        self._change(lease.job_id, lambda job: None if job.state.ended else job, lease, (event, data))

    def finish(self, lease: Lease, state: JobState, reason: str, **update: Any) -> Job:
        """Ends the leased job. One that was ended meanwhile stays so, but says what it produced all the same."""

        def change(job: Job) -> Job | None:
            if job.state.ended:
                return job.model_copy(update=update) if state is JobState.SUCCEEDED else None
            return _moved(job, state, reason, finished_at=now(), **update)

        return self._change(lease.job_id, change, lease)

    def _change(self, job_id: str, change: Change, lease: Lease | None = None, event: Event | None = None) -> Job:
        """Applies a change to the newest record and tells its events, all in one; a change of state is made durable."""
        with self.redis.pipeline() as pipe:
            while True:
                pipe.watch(keys.job(job_id), *([lease.key] if lease else []))
                if lease and pipe.get(lease.key) != lease.token.encode():
                    lease.renew()  # it may merely have run out while Redis was away
                raw = pipe.get(keys.job(job_id))
                before = Job.model_validate_json(raw) if raw else self.get(job_id)
                after = change(before)
                if after is None:
                    return before
                pipe.multi()
                self._put(pipe, before, after)
                if event:
                    _emit(pipe, job_id, *event)
                if after.state is not before.state:
                    _emit(pipe, job_id, "state", {"state": after.state, "reason": after.transitions[-1].reason})
                try:
                    pipe.execute()
                except WatchError:
                    continue
                break
        if after.state is not before.state:
            try:
                self._persist(after)
            except OSError as error:  # Redis has it; a full disk must not keep a job from being cancelled, or failing
                log.error("cannot write the record of %s to the artifact store: %s", job_id, error)
        return after

    def _put(self, pipe: Pipeline, before: Job | None, after: Job) -> None:
        pipe.set(keys.job(after.id), after.model_dump_json())
        if before is None or before.state is not after.state:
            if before:
                pipe.zrem(keys.jobs_in(before.state), after.id)
            pipe.zadd(keys.jobs_in(after.state), {after.id: 0})

    def _persist(self, job: Job) -> None:
        """Writes the record to the artifact store, unless a later change of state stands there already."""
        folder = self.store.path("jobs", job.id)
        with self.store.locked(folder):
            path = folder / "record.json"
            if path.exists() and len(self.store.read_json(path)["transitions"]) > len(job.transitions):
                return
            self.store.write_bytes(path, job.model_dump_json(indent=1).encode())

    def catch_up(self) -> None:
        """After Redis was started anew: what it lost of its last second comes back from the artifact store."""
        if self._unsettled or self.redis.get(keys.JOBS_RESTORED) != self._server_run():
            self._restore()

    def _ensure_restored(self) -> bool:
        """Fills a Redis that was wiped from the artifact store; whether it had to."""
        if self.redis.exists(keys.JOBS_RESTORED):
            return False
        self._restore()
        return True

    def _restore(self) -> None:
        """Puts every record of the artifact store into Redis that is missing there, or older."""
        server_run, folder = self._server_run(), self.store.path("jobs")
        for entry in os.scandir(folder) if folder.exists() else []:
            path = folder / entry.name / "record.json"
            if path.exists():
                try:
                    self._restore_one(Job.model_validate_json(path.read_bytes()))
                except (OSError, ValueError) as error:  # one that cannot be read must not hide all others
                    log.error("cannot read the record of %s: %s", entry.name, error)
        self.redis.set(keys.JOBS_RESTORED, server_run)
        self._unsettled = False

    def _restore_one(self, job: Job) -> None:
        with self.redis.pipeline() as pipe:
            while True:
                pipe.watch(keys.job(job.id))
                raw = pipe.get(keys.job(job.id))
                before = Job.model_validate_json(raw) if raw else None
                if before and len(before.transitions) >= len(job.transitions):
                    return
                pipe.multi()
                self._put(pipe, before, job)
                with suppress(WatchError):  # somebody was quicker, perhaps with an older one
                    pipe.execute()
                    return

    def _server_run(self) -> bytes:
        """Names the server's process: another one may have lost what this one was told."""
        return str(self.redis.info("server")["run_id"]).encode()


def _record_failure(job: Job, step: int, reason: str, *, error: bool) -> Job | None:
    """Queued again, or failed where it went wrong too often since the checkpoint of this step (0: none yet)."""
    if job.state.ended:
        return None
    before = job.failures if step <= job.failures.step else FailureCounts(step=step)
    failures = before.model_copy(
        update={"step": step, "errors": before.errors + error, "lost_workers": before.lost_workers + (not error)}
    )
    if error and failures.errors < ERRORS_IN_A_ROW:
        reason = f"attempt {failures.errors} of {ERRORS_IN_A_ROW} from step {step}: {reason}"
    if failures.errors < ERRORS_IN_A_ROW and failures.lost_workers < LOST_WORKERS_IN_A_ROW:
        return _moved(job, JobState.QUEUED, reason, failures=failures)
    if not error:
        reason = (
            f"{reason}, the {failures.lost_workers}th time in a row since step {step}. A worker that vanishes "
            "was mostly killed for want of memory: see the log of its machine, and try a smaller batch_size or resolution"
        )
    return _moved(job, JobState.FAILED, reason, finished_at=now(), error=reason, failures=failures)


def _emit(pipe: Pipeline, job_id: str, event: str, data: dict[str, Any]) -> None:
    """Adds to the stream that GET /training-jobs/{id}/events follows."""
    stream = keys.job_events(job_id)
    pipe.xadd(stream, {"event": event, "data": json.dumps(data)}, maxlen=EVENTS_KEPT)
    pipe.expire(stream, EVENTS_SECONDS)


def _moved(job: Job, state: JobState, reason: str, **update: Any) -> Job:
    transitions = [*job.transitions, Transition(state=state, at=now(), reason=reason)]
    return job.model_copy(update={"state": state, "transitions": transitions, **update})
