"""The worker's side of a kind of job: what a kind implements so that `worker.segments` can run its jobs."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from flawsmith.core.domain.jobs import Job
from flawsmith.core.live.job_history import Point
from flawsmith.core.live.job_repository import JobRepository
from flawsmith.core.live.leases import Lease
from flawsmith.core.store.interface import Claim

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """One worker's hold on a job for a bounded time. Whatever is written for the job goes through its claim."""

    lease: Lease
    claim: Claim
    jobs: JobRepository

    def emit(self, event: str, data: dict[str, Any]) -> None:
        """Adds an event of the kind's own to the job's stream. While Redis is away, the event is lost."""
        try:
            self.jobs.emit(self.lease, event, data)
        except RedisError as error:
            log.warning("job %s: cannot emit the event %s: %s", self.lease.job_id, event, error)


@dataclass(frozen=True)
class Result:
    """What a job published: ``reason`` for its last transition, ``fields`` of its record."""

    reason: str
    fields: dict[str, Any]


class Work(ABC):
    """A job open in this process. It stands at a step, and saves that step so that another process can continue.

    A worker may keep it open between two segments, while it runs segments of other jobs.
    """

    def __init__(self, job: Job, saved_step: int = 0) -> None:
        self.job = job
        self.saved_step = saved_step  # of the newest checkpoint
        self.checkpoint_seconds = 0.0  # that the newest checkpoint took
        self.unrecorded: list[Point] = []  # steps for the job's history, until they are recorded

    @property
    @abstractmethod
    def step(self) -> int:
        """How many steps are done."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether the job needs no further step."""

    @abstractmethod
    def advance(self, segment: Segment) -> None:
        """Makes one step. Between two steps the worker can stop, so a step should take less than a second."""

    @abstractmethod
    def finish(self, segment: Segment) -> Result:
        """Publishes what the job produced, under the segment's claim. It may run twice."""

    def before_finish(self) -> Iterator[None]:
        """Does what is left once the job is over and saved, in steps of about a second: between two a worker can stop.

        It is not bounded by the segment's end, so that it comes to an end however short segments are. A worker that
        stopped, or was lost, leaves it to the next segment, which begins it again.
        """
        return iter(())

    @abstractmethod
    def save(self, segment: Segment) -> None:
        """Publishes a checkpoint of the step, under the segment's claim; see `JobFolder`."""

    def conclude(self, segment: Segment) -> None:  # noqa: B027
        """Called once the job is over, before its last checkpoint."""

    def active(self) -> AbstractContextManager[None]:
        """Around a segment's steps. Sets what the job needs of the process, such as random states, and remembers it."""
        return nullcontext()

    def report(self) -> dict[str, Any]:
        """Fields of the record that show how far the job is."""
        return {"progress": self.job.progress.changed(step=self.step)}


class UncheckpointedWork(Work):
    """Work without checkpoints: all of it is done in `before_finish`, and again from the beginning after a stop."""

    @property
    def over(self) -> bool:
        return True

    def advance(self, segment: Segment) -> None:
        raise AssertionError("it is over")

    def save(self, segment: Segment) -> None:
        """There is nothing to save."""


class Executor(ABC):
    """One kind of job in a worker."""

    lasting: tuple[type[Exception], ...] = ()
    """Errors that every further attempt would meet again; their text becomes the job's `error`."""

    @abstractmethod
    def open(self, job: Job) -> Work:
        """The job at its newest checkpoint, or at its beginning."""
