"""The records of all jobs: in Redis for quick reading, and durably in the artifact store as of each change of state.

A record, its place in the index by state and its events change in one transaction, and a worker changes a job only
while it holds the job's lease.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, WatchError

from flawsmith.core.domain import job_states
from flawsmith.core.domain.jobs import Job, JobKind, JobState, valid_job_id
from flawsmith.core.domain.remarks import ALL, Remarks, RemarksFilter
from flawsmith.core.live import keys
from flawsmith.core.live.job_events import emit
from flawsmith.core.live.job_records import JobRecords
from flawsmith.core.live.job_records import UnknownJob as UnknownJob  # whoever uses jobs meets it
from flawsmith.core.live.job_restore import JobRestore
from flawsmith.core.live.leases import Lease
from flawsmith.core.store.interface import Store
from flawsmith.core.store.job_folder import JobFolder

UNFINISHED = (JobState.QUEUED, JobState.RUNNING)
DELETED_SECONDS = 600  # far longer than a worker takes to notice that its job has ended
SEARCHED_AT_ONCE = 500  # records that a search reads
CALLER_SECONDS = 30 * 24 * 3600  # that a job may be queued and still count as its caller's

log = logging.getLogger(__name__)

Change = Callable[[Job], Job | None]
Event = Callable[[Job], tuple[str, dict[str, Any]]]


class JobRepository:
    """All jobs of all kinds. Safe to use from several processes at once."""

    def __init__(self, redis: Redis, store: Store, kinds: Iterable[JobKind]) -> None:
        self.redis, self.store = redis, store
        self.records = JobRecords(kinds)
        self.kinds = self.records.kinds
        self._restore = JobRestore(redis, store, self.records.parse, self._put)

    def create(self, job: Job) -> Job:
        """Records a new job, durably.

        Raises:
            RedisError: Redis is away, and the job was not made. If Redis goes away once the artifact store has the
                job, the job is made; `catch_up` brings it to Redis.
        """
        self._restore.ensure()
        self._persist(job)
        try:
            with self.redis.pipeline() as pipe:
                self._put(pipe, None, job)
                pipe.execute()
        except RedisError as error:
            log.warning("cannot put job %s into Redis yet: %s", job.id, error)
            self._restore.pending = True
        return job

    def get(self, job_id: str, kind: JobKind | None = None) -> Job:
        """One job, of this kind where one is given. Raises UnknownJob."""
        self.records.check_kind(job_id, kind)
        raw = self.redis.get(keys.job(job_id))
        if raw is None:
            self._restore.ensure()
            raw = self.redis.get(keys.job(job_id))
        if raw is None:
            raise UnknownJob(f"there is no {self.records.kind_of(job_id).name} job '{job_id}'")
        return self.records.parse(job_id, raw)

    def page(
        self, kind: JobKind, state: JobState | None, limit: int, before: str | None, wanted: RemarksFilter = ALL
    ) -> list[Job]:
        """The newest jobs of a kind that fit; ``before`` is the last id of the page before this one."""
        self._restore.ensure()
        found: list[Job] = []
        size = limit if wanted == ALL else max(limit, SEARCHED_AT_ONCE)
        while True:
            ids = self._newest(kind, state, size, before)
            records = self.redis.mget([keys.job(job_id) for job_id in ids]) if ids else []
            for job_id, raw in zip(ids, records, strict=True):
                job = self.records.readable(job_id, raw) if raw and wanted.may_fit(raw) else None
                if job and wanted.fits(job.tags, job.texts):
                    found.append(job)
            if len(ids) < size or len(found) >= limit:
                return found[:limit]
            before = ids[-1]

    def _newest(self, kind: JobKind, state: JobState | None, limit: int, before: str | None) -> list[str]:
        """Ids of the newest jobs of a kind, after the id ``before``."""
        end = f"({before}" if before else "+"
        pipe = self.redis.pipeline(transaction=False)
        for each in [state] if state else list(JobState):
            pipe.zrevrangebylex(keys.jobs_in(kind.index, each), end, "-", start=0, num=limit)
        return sorted({job_id.decode() for page in pipe.execute() for job_id in page}, reverse=True)[:limit]

    def ids(self, kind: JobKind, states: Iterable[JobState]) -> list[str]:
        """Ids of all jobs of a kind in these states, the oldest first."""
        self._restore.ensure()
        pipe = self.redis.pipeline(transaction=False)
        for state in states:
            pipe.zrange(keys.jobs_in(kind.index, state), 0, -1)
        return sorted(job_id.decode() for page in pipe.execute() for job_id in page)

    def counts(self) -> dict[str, int]:
        """How many jobs, of all kinds, are in each state."""
        self._restore.ensure()
        pipe = self.redis.pipeline(transaction=False)
        for state in JobState:
            for kind in self.kinds.values():
                pipe.zcard(keys.jobs_in(kind.index, state))
        answers = iter(pipe.execute())
        return {str(state): sum(next(answers) for _ in self.kinds) for state in JobState}

    def count_for(self, caller: str, job: Job) -> None:
        """Notes that a caller queued a job; see `has_queued`."""
        key = keys.jobs_of_caller(caller, self.kinds[job.kind].index)
        with self.redis.pipeline() as pipe:
            pipe.zadd(key, {job.id: 0})
            pipe.expire(key, CALLER_SECONDS)
            pipe.execute()

    def has_queued(self, caller: str, count: int) -> bool:
        """Whether so many jobs of a caller, or more, are queued."""
        noted = {keys.jobs_of_caller(caller, kind.index): kind for kind in self.kinds.values()}
        if sum(self.redis.zcard(key) for key in noted) < count:
            return False
        with self.redis.pipeline() as pipe:  # forgets those that have begun or ended
            for key, kind in noted.items():
                pipe.zinterstore(key, [key, keys.jobs_in(kind.index, JobState.QUEUED)])
            return bool(sum(pipe.execute()) >= count)

    def unfinished_with(self, dataset_id: str) -> list[str]:
        """Ids of the unfinished jobs that read a dataset."""
        self._restore.ensure()
        pipe = self.redis.pipeline(transaction=False)
        for index in self.unfinished_indexes():
            pipe.zrange(index, 0, -1)
        ids = [job_id.decode() for page in pipe.execute() for job_id in page]
        records = self.redis.mget([keys.job(job_id) for job_id in ids]) if ids else []
        jobs = [self.records.readable(*each) for each in zip(ids, records, strict=True)]
        return [job.id for job in jobs if job and dataset_id in job.datasets]

    def unfinished_indexes(self, queue: str | None = None) -> list[str]:
        """The Redis keys of the sorted sets of all unfinished jobs whose kinds use a queue, or any queue."""
        kinds = [kind for kind in self.kinds.values() if queue in (None, kind.queue)]
        return [keys.jobs_in(kind.index, state) for kind in kinds for state in UNFINISHED]

    def cancel(self, job_id: str) -> Job:
        """Ends a job now; its worker, if any, notices at its next report. Raises UnknownJob, JobEnded."""
        return self._change(job_id, job_states.cancelled)

    def resume(self, job_id: str) -> Job:
        """Queues a failed or cancelled job again. Raises UnknownJob; JobEnded for a job in another state."""
        return self._change(job_id, job_states.resumed)

    def remark(self, job_id: str, kind: JobKind, change: Callable[[Remarks], Remarks]) -> Job:
        """Changes the job's note and tags, durably.

        Raises:
            UnknownJob: there is no such job of this kind.
            OSError: the artifact store cannot be written; another try writes it.
        """
        self.records.check_kind(job_id, kind)
        job = self._change(job_id, partial(job_states.remarked, change=change))
        self._make_durable(job)
        return job

    def delete(self, job_id: str, kind: JobKind | None = None) -> None:
        """Removes a job that has ended, of this kind where one is given, with all its files; its versions stay.

        Raises UnknownJob; JobUnfinished for a job that is queued or running.
        """
        self.records.check_kind(job_id, kind)
        folder = JobFolder(self.store, job_id)
        try:
            self._delete_from_redis(job_id)
        except UnknownJob:
            if not folder.record.exists():  # else an earlier call was killed between the two steps
                raise
        self.store.delete(folder.path)

    @contextmanager
    def lease(self, job_id: str) -> Iterator[Lease | None]:
        """Holds the job's lease during the block; None where another worker holds it. Raises UnknownJob."""
        lease = Lease(self.redis, job_id, self.records.kind_of(job_id).queue)
        if not lease.acquire():
            yield None
            return
        try:
            yield lease
        finally:
            lease.release()

    def begin(self, lease: Lease, worker: str) -> Job | None:
        """Marks the leased job as running on this worker; None where it has ended."""
        job = self._change(lease.job_id, partial(job_states.begun, worker=worker), lease)
        return None if job.state.ended else job

    def report(self, lease: Lease, update: dict[str, Any]) -> bool:
        """Updates fields of the leased job and emits `progress`; False where it has ended, so that its worker stops."""

        def progress(job: Job) -> tuple[str, dict[str, Any]]:
            return "progress", job.model_dump(mode="json", include=job.progress_event)

        change = partial(job_states.reported, update=update)
        return not self._change(lease.job_id, change, lease, progress).state.ended

    def emit(self, lease: Lease, event: str, data: dict[str, Any]) -> None:
        """Adds an event to the leased job's stream, unless it has ended."""
        self._change(lease.job_id, lambda job: None if job.state.ended else job, lease, lambda _: (event, data))

    def finish(self, lease: Lease, state: JobState, reason: str, **update: Any) -> Job:
        """Ends the leased job. If it was cancelled meanwhile it stays so, but shows what it produced."""
        return self._change(
            lease.job_id, partial(job_states.finished, state=state, reason=reason, update=update), lease
        )

    def record_failure(self, lease: Lease, reason: str) -> Job:
        """Requeues the leased job after an error, or fails it after too many."""
        step = JobFolder(self.store, lease.job_id).checkpoint_step()
        return self._change(lease.job_id, partial(job_states.with_error, checkpoint_step=step, reason=reason), lease)

    def record_lost_worker(self, job_id: str) -> Job:
        """Requeues a running job that no worker holds, or fails it after too many lost workers."""

        def change(job: Job) -> Job | None:
            if self.redis.exists(keys.job_lease(job_id)):
                return None
            return job_states.without_worker(job, JobFolder(self.store, job.id).checkpoint_step())

        return self._change(job_id, change)

    def catch_up(self) -> None:
        """Brings to Redis what it lacks: after a restart it may have lost its last second."""
        self._restore.catch_up()

    def drop_unreadable(self, job_id: str) -> None:
        """Removes from Redis what stands there for an unknown job. If the artifact store has its record, it returns."""
        pipe = self.redis.pipeline()
        for kind in self.kinds.values():
            pipe.zrem(keys.outstanding_segments(kind.queue), job_id)
            for state in JobState:
                pipe.zrem(keys.jobs_in(kind.index, state), job_id)
        if valid_job_id(job_id):
            pipe.delete(keys.job(job_id))
        pipe.execute()
        self._restore.pending = True

    def _change(self, job_id: str, change: Change, lease: Lease | None = None, event: Event | None = None) -> Job:
        """Applies a change to the newest record and emits its events, all in one transaction.

        A change of state is made durable before this returns. Raises LeaseLost where the lease is no longer held.
        """
        with self.redis.pipeline() as pipe:
            while True:
                pipe.watch(keys.job(job_id), *([lease.key] if lease else []))
                if lease and pipe.get(lease.key) != lease.token.encode():
                    lease.renew()  # it may merely have expired while Redis was away
                raw = pipe.get(keys.job(job_id))
                before = self.records.parse(job_id, raw) if raw else self.get(job_id)
                after = change(before)
                if after is None:
                    return before
                pipe.multi()
                self._put(pipe, before, after)
                if event:
                    emit(pipe, job_id, *event(after))
                if after.state is not before.state:
                    emit(pipe, job_id, "state", {"state": after.state, "reason": after.transitions[-1].reason})
                try:
                    pipe.execute()
                except WatchError:
                    continue
                break
        if after.state is not before.state:
            try:
                self._make_durable(after)
            except OSError as error:  # Redis has it; a full disk must not keep a job from ending
                log.error("cannot write the record of %s to the artifact store: %s", job_id, error)
        return after

    def _delete_from_redis(self, job_id: str) -> None:
        with self.redis.pipeline() as pipe:
            while True:
                pipe.watch(keys.job(job_id))
                job = self.get(job_id)
                if not job.state.ended:
                    raise job_states.JobUnfinished(job)
                pipe.multi()
                of_job = (keys.job, keys.job_events, keys.job_history, keys.job_segment)
                pipe.delete(*(key(job_id) for key in of_job))
                pipe.zrem(keys.jobs_in(self.kinds[job.kind].index, job.state), job_id)
                pipe.srem(keys.CHANGED_JOBS, *(f"{job_id}/{each}" for each in range(len(job.transitions) + 1)))
                pipe.set(keys.job_deleted(job_id), 1, ex=DELETED_SECONDS)
                try:
                    pipe.execute()
                except WatchError:
                    continue
                return

    def _put(self, pipe: Pipeline, before: Job | None, after: Job) -> None:
        """Writes the record and its place in the index. A job that left the queue has no outstanding segment."""
        kind = self.kinds[after.kind]
        pipe.set(keys.job(after.id), after.model_dump_json())
        if before is None or before.state is not after.state:
            if before:
                pipe.zrem(keys.jobs_in(kind.index, before.state), after.id)
            pipe.zadd(keys.jobs_in(kind.index, after.state), {after.id: 0})
            if after.state is not JobState.QUEUED:
                pipe.zrem(keys.outstanding_segments(kind.queue), after.id)
                pipe.sadd(keys.CHANGED_JOBS, f"{after.id}/{len(after.transitions)}")

    def _make_durable(self, job: Job) -> None:
        """Writes the record to the artifact store, unless it was deleted since it was changed."""
        self._persist(job)
        with suppress(RedisError):  # the change itself is made
            if self.redis.exists(keys.job_deleted(job.id)):
                self.store.delete(JobFolder(self.store, job.id).path)

    def _persist(self, job: Job) -> None:
        """Writes the record to the artifact store. Later changes of state, or remarks, that stand there stay."""
        folder = JobFolder(self.store, job.id)
        with self.store.locked(folder.path):
            if folder.record.exists() and (stored := self.records.readable(job.id, folder.record.read_bytes())):
                job = job_states.merged(stored, job)
                if job == stored:
                    return
            self.store.write_bytes(folder.record, job.model_dump_json(indent=1).encode())
