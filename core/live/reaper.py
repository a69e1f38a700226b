"""Finds work that nobody has in hand and nobody will take, and has it taken: jobs, and images that callers wait for.

A worker that was killed leaves a lease that runs out; a broker can lose a message between two steps; a wiped Redis has
lost all of them. Every API process and every worker looks, so no single one is needed.
"""

import logging
import threading

from redis.exceptions import RedisError

from flawsmith.core.live import keys
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.live.sampling_queue import recover
from flawsmith.core.services import Services

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
SENT_SECONDS = 5.0  # for so long no other process sends the same segment again


class Reaper:
    """One process's look-out. A job is an orphan when two looks in a row found neither lease nor message."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.shelves = PoolReplenisher(services.redis, services.settings)
        self._suspected: set[str] = set()

    def look(self) -> None:
        try:
            if recover(self.services.redis) or self.shelves.check():
                self.services.queues.wake_sampler(request_id="reaper")
        finally:
            self._look_for_jobs()

    def _look_for_jobs(self) -> None:
        jobs, queues = self.services.jobs, self.services.queues
        jobs.catch_up()
        unfinished = jobs.unfinished()
        orphans = set(unfinished) - queues.waiting_segments(unfinished) - jobs.leased(unfinished)
        for job_id in sorted(orphans & self._suspected):
            if self.services.redis.set(keys.job_reaped(job_id), 1, nx=True, px=int(SENT_SECONDS * 1000)):
                job = jobs.reclaim(job_id)
                if not job.state.ended:
                    log.warning("job %s was in nobody's hands; sending its next segment", job_id)
                    queues.send_segment(job, request_id=f"reaper-{job_id}")
        self._suspected = orphans - self._suspected

    def start(self, stop: threading.Event) -> None:
        """Looks every `LOOK_SECONDS`, in a thread of its own, until told to stop."""

        def run() -> None:
            while not stop.wait(LOOK_SECONDS):
                try:
                    self.look()
                except RedisError as error:
                    log.warning("cannot look for lost work: %s", error)
                except Exception:
                    log.exception("looking for lost work failed")

        threading.Thread(target=run, name="reaper", daemon=True).start()
