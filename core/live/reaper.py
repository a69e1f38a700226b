"""Finds work that no worker has and that no message will bring to one, and sends it again.

A killed worker leaves a lease that expires; the broker can lose a message between two steps; a wiped Redis has lost all
messages. Every API process and every worker looks, so that no single process is needed. A look costs the same however
many jobs wait: Redis compares the sizes of sets, and the sets themselves only where the sizes differ.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from flawsmith.core.domain.jobs import Job
from flawsmith.core.live import keys
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.live.job_repository import JobRepository, UnknownJob
from flawsmith.core.live.sampling_queue import recover
from flawsmith.core.live.scripts import script
from flawsmith.core.live.task_queues import Queues
from flawsmith.core.logs import OutageLog
from flawsmith.core.store.interface import StoreAway

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
REQUEUED_SECONDS = 5.0  # in which no other process sends the same segment again


@dataclass
class Survey:
    """What one look at a queue found.

    ``orphans`` are unfinished jobs with neither a lease nor an outstanding segment. While there are ``idle`` workers
    they would have begun every message that the broker still has: the ``overdue`` segments, as many, were lost.
    """

    orphans: set[str] = field(default_factory=set)
    idle: int = 0
    overdue: list[str] = field(default_factory=list)


class JobReaper:
    """Requeues the jobs of one queue that two looks in a row found without a worker and without a message."""

    def __init__(self, redis: Redis, jobs: JobRepository, queues: Queues, queue: str) -> None:
        self.redis, self.jobs, self.queues, self.queue = redis, jobs, queues, queue
        self._survey = redis.register_script(script("segment_survey"))
        self._before = Survey()

    def look(self) -> None:
        """Raises RedisError."""
        self.jobs.catch_up()
        before, found = self._before, self.survey()
        repeated = found.orphans & before.orphans
        for job_id in sorted(repeated):
            self._requeue(job_id, self.jobs.record_lost_worker, "had no worker and no message")
        for job_id in found.overdue[: min(found.idle, before.idle)]:
            self._requeue(job_id, self.jobs.get, "waited while a worker was idle: its message was lost")
        self._before = Survey(found.orphans - repeated, found.idle)

    def survey(self) -> Survey:
        """What Redis knows of the queue now."""
        indexes = self.jobs.unfinished_indexes(self.queue)
        live = len(self.queues.live_workers(self.queue))
        orphans, idle, overdue = self._survey(
            keys=[keys.outstanding_segments(self.queue), keys.leases(self.queue), *indexes],
            args=[live, int(LOOK_SECONDS * 1000)],
        )
        return Survey({each.decode() for each in orphans}, idle, [each.decode() for each in overdue])

    def _requeue(self, job_id: str, record: Callable[[str], Job], why: str) -> None:
        if self.redis.set(keys.job_requeued(job_id), 1, nx=True, px=int(REQUEUED_SECONDS * 1000)):
            try:
                job = record(job_id)
            except UnknownJob as error:  # somebody else wrote into Redis: it must not keep other jobs waiting
                log.error("dropping %.100r from the unfinished jobs: %.200s", job_id, error)
                self.jobs.drop_unreadable(job_id)
                return
            if not job.state.ended:
                log.warning("job %s %s; sending its next segment", job_id, why)
                self.queues.send_segment(job, request_id=f"reaper-{job_id}")


class SamplingReaper:
    """Requeues the images that a dead sampling worker had in flight, and wakes a sampler for pools that are low."""

    def __init__(self, redis: Redis, replenisher: PoolReplenisher, queues: Queues) -> None:
        self.redis, self.replenisher, self.queues = redis, replenisher, queues

    def look(self) -> None:
        """Raises RedisError."""
        if recover(self.redis) or self.replenisher.check():
            self.queues.wake_sampler(request_id="reaper")


def start_reaper(looks: list[Callable[[], None]], stop: threading.Event) -> None:
    """Looks every `LOOK_SECONDS`, in a thread of its own, until ``stop`` is set. No look can prevent another."""

    outage = OutageLog(log, "look for lost work")

    def run() -> None:
        while not stop.wait(LOOK_SECONDS):
            failed: RedisError | StoreAway | None = None
            for look in looks:
                try:
                    look()
                except (RedisError, StoreAway) as error:
                    failed = error
                except Exception:
                    log.exception("looking for lost work failed")
            outage.met(failed) if failed else outage.over()

    threading.Thread(target=run, name="reaper", daemon=True).start()
