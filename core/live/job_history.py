"""The recorded steps of a job: those of its newest checkpoint in the artifact store, and those since then in Redis.

A file of its own keeps them once the job's checkpoints are gone.
"""

import json
from contextlib import suppress

from redis import Redis

from flawsmith.core.domain.earlier_releases import SIGNALS, renamed
from flawsmith.core.live import keys
from flawsmith.core.store.interface import Store
from flawsmith.core.store.job_folder import JobFolder

HISTORY_SECONDS = 24 * 3600  # in Redis, after the last recorded step

Point = dict[str, float]
"""One recorded step: ``step``, and a number for each name that was recorded at it."""


class JobHistory:
    """The histories of all jobs."""

    def __init__(self, redis: Redis, store: Store) -> None:
        self.redis, self.store = redis, store

    def record(self, job_id: str, points: list[Point], *, replace: bool = False) -> None:
        """Adds recorded steps; with ``replace``, in place of those in Redis.

        A job that went back to its checkpoint repeats the steps since, so it replaces them.
        """
        with self.redis.pipeline() as pipe:
            if replace:
                pipe.delete(keys.job_history(job_id))
            if points:
                pipe.rpush(keys.job_history(job_id), *map(json.dumps, points))
                pipe.expire(keys.job_history(job_id), HISTORY_SECONDS)
            pipe.execute()

    def read(self, job_id: str) -> list[Point]:
        """All recorded steps in order. A step that stands in both places is the same in both."""
        points = [*self._saved(job_id), *map(json.loads, self.redis.lrange(keys.job_history(job_id), 0, -1))]
        by_step = {point["step"]: renamed(point, SIGNALS) for point in points}
        return [by_step[step] for step in sorted(by_step)]

    def outlive_checkpoints(self, job_id: str) -> None:
        """Copies the recorded steps of the newest checkpoint into a file of their own. Raises OSError."""
        if points := self._saved(job_id):
            self.store.write_json(JobFolder(self.store, job_id).history, points)

    def _saved(self, job_id: str) -> list[Point]:
        folder = JobFolder(self.store, job_id)
        for card in folder.checkpoint_cards():
            with suppress(OSError, ValueError, KeyError):  # it is damaged: the checkpoint before has fewer steps
                return list(self.store.read_json(card)["history"])
        return list(self.store.read_json(folder.history)) if folder.history.exists() else []
