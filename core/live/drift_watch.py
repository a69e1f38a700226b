"""Has a worker look, once in a while, at what each version serves: enqueues drift checks."""

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

from kombu.exceptions import OperationalError
from redis import Redis

from flawsmith.core.domain.job_kinds.drift import KIND, new_drift_job
from flawsmith.core.domain.job_states import JobUnfinished
from flawsmith.core.domain.quality_floor import sampling_name
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.live import keys
from flawsmith.core.live.job_repository import JobRepository, UnknownJob
from flawsmith.core.live.task_queues import Queues
from flawsmith.core.store.datasets import Datasets, UnknownDataset
from flawsmith.core.store.interface import Place
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.version_drift import drift_job_file, newest_environment_at, save_drift_job
from flawsmith.core.store.version_report import report_file

log = logging.getLogger(__name__)

LOOK_SECONDS = 300  # between two looks of any process; each look enqueues one check at most
HOUR = 3600.0


class DriftWatch:
    """Finds the version whose check is due. Any process may look; in `LOOK_SECONDS`, one of them does.

    A version with a report is due that served new images and was not looked at for ``hours``, or that a worker loaded
    in a new environment. The seeds of new images count up, so that the counters tell what was served.
    """

    def __init__(
        self,
        redis: Redis,
        registry: Registry,
        datasets: Datasets,
        jobs: JobRepository,
        queues: Queues,
        hours: float,
        image_redis: Redis | None = None,
    ) -> None:
        self.redis, self.registry, self.datasets, self.jobs, self.queues = redis, registry, datasets, jobs, queues
        self.hours, self.image_redis = hours, image_redis or redis

    def look(self) -> None:
        """Raises RedisError, OSError."""
        if self.hours and self.redis.set(keys.DRIFT_LOOK, 1, nx=True, ex=LOOK_SECONDS):
            due = next(self._due(), None)
            if due is not None:
                self._enqueue(*due)

    def _due(self) -> Iterator[tuple[ModelVersion, Dataset, dict[str, int]]]:
        for model in self.registry.models():
            for number in model.versions:
                version = self.registry.version(model.name, str(number))
                if self._is_due(version) and (newest := self._newest(version)):
                    with suppress(UnknownDataset):  # without photographs nothing can be measured
                        yield version, self.datasets.of_digest(version.dataset_digest), newest

    def _is_due(self, version: ModelVersion) -> bool:
        folder = self.registry.folder(version)
        try:
            looked_at = report_file(folder).stat().st_mtime
        except FileNotFoundError:
            return False
        with suppress(FileNotFoundError):
            looked_at = max(looked_at, drift_job_file(folder).stat().st_mtime)
        if newest_environment_at(folder) > looked_at:
            return True
        return time.time() - looked_at >= self.hours * HOUR and self._newest(version) != self._looked_at(folder)

    def _looked_at(self, folder: Place) -> dict[str, int] | None:
        """The counters at the last check."""
        try:
            found: dict[str, int] = self.registry.store.read_json(drift_job_file(folder))["newest"]
        except FileNotFoundError:
            return None
        return found

    def _newest(self, version: ModelVersion) -> dict[str, int]:
        """The first seed not yet reserved of each type that was served; empty where none was."""
        floor = self.registry.quality_floor(version)
        sampled = sampling_name(version.ref, floor.score if floor else None)
        names = [f"{keys.NEXT_SEED}{sampled}\n{each}" for each in version.classes]
        pipe = self.image_redis.pipeline(transaction=False)
        for name in names:
            pipe.hget(name, "next")
        seeds = cast(list[bytes | None], pipe.execute())
        return {each: int(seed) for each, seed in zip(version.classes, seeds, strict=True) if seed is not None}

    def _enqueue(self, version: ModelVersion, dataset: Dataset, newest: dict[str, int]) -> None:
        folder = self.registry.folder(version)
        job = new_drift_job(version.ref, dataset.id, newest)
        self._forget_earlier(version)
        self.jobs.create(job)
        save_drift_job(folder, job.id, newest, self.registry.store.write_bytes)
        try:
            self.queues.send_segment(job, request_id=f"drift-{job.id}")
        except OperationalError as error:  # the reaper sends it
            log.warning("cannot enqueue a segment of job %s yet: %s", job.id, error)

    def _forget_earlier(self, version: ModelVersion) -> None:
        """Deletes the record of the check before: what it found is replaced, and one a day would pile up."""
        with suppress(FileNotFoundError, UnknownJob, JobUnfinished):
            path = drift_job_file(self.registry.folder(version))
            self.jobs.delete(self.registry.store.read_json(path)["job"], KIND)
