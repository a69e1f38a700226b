"""Fills Redis with the job records of the artifact store, after Redis was wiped or restarted."""

import logging
from collections.abc import Callable
from contextlib import suppress

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import WatchError

from flawsmith.core.domain.job_states import merged
from flawsmith.core.domain.jobs import Job
from flawsmith.core.live import keys
from flawsmith.core.store.interface import Store, StoreAway, children
from flawsmith.core.store.job_folder import JobFolder

log = logging.getLogger(__name__)


class JobRestore:
    """Puts every record into Redis that is missing there, or older there, than in the artifact store.

    Args:
        parse: reads a stored record.
        put: queues the commands that write a record in place of another one.
    """

    def __init__(
        self,
        redis: Redis,
        store: Store,
        parse: Callable[[str, bytes | str], Job],
        put: Callable[[Pipeline, Job | None, Job], None],
    ) -> None:
        self.redis, self.store = redis, store
        self._parse, self._put = parse, put
        self.pending = False  # the artifact store has a job that could not be put into Redis

    def ensure(self) -> None:
        """Restores the records if Redis was wiped."""
        if not self.redis.exists(keys.JOBS_RESTORED):
            self._restore()

    def catch_up(self) -> None:
        """Restores the records if Redis was restarted, which may have cost it its last second."""
        if self.pending or self.redis.get(keys.JOBS_RESTORED) != self._server_run_id():
            self._restore()

    def _restore(self) -> None:
        """Raises StoreAway; Redis is not taken for filled then."""
        server_run_id, folder = self._server_run_id(), self.store.path("jobs")
        for entry in children(folder):
            try:
                self._restore_one(self._parse(entry.name, JobFolder(self.store, entry.name).record.read_bytes()))
            except StoreAway:
                raise
            except (FileNotFoundError, NotADirectoryError):  # files that were sent with a job that was not made
                continue
            except (OSError, ValueError, LookupError) as error:  # the others must not be missing with it
                log.error("cannot read the record of %s: %s", entry.name, error)
        self.redis.set(keys.JOBS_RESTORED, server_run_id)
        self.pending = False

    def _restore_one(self, job: Job) -> None:
        with self.redis.pipeline() as pipe:
            while True:
                pipe.watch(keys.job(job.id), keys.job_deleted(job.id))
                if pipe.exists(keys.job_deleted(job.id)):  # since its record was read
                    return
                raw = pipe.get(keys.job(job.id))
                before = self._parse(job.id, raw) if raw else None
                after = merged(job, before) if before else job
                if after == before:
                    return
                pipe.multi()
                self._put(pipe, before, after)
                with suppress(WatchError):  # another process wrote the record, perhaps an older one
                    pipe.execute()
                    return

    def _server_run_id(self) -> bytes:
        """Names the server's process: another process may have lost what this one was given."""
        return str(self.redis.info("server")["run_id"]).encode()
