"""What a job of any kind is: its record, its states, and the description of its kind."""

import re
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field, StringConstraints

from flawsmith.core.domain.records import Moment, Record, now
from flawsmith.core.domain.remarks import Remarks
from flawsmith.core.domain.webhook_targets import JobWebhook

JOB_ID_PATTERN = r"^[a-z][a-z0-9]{0,31}-[A-Za-z0-9]{1,64}$"

SEARCHED = ("id", "note", "model", "version", "produced", "dataset", "composition", "preset", "layout", "error")
"""Fields of records of all kinds whose text a search looks at, where the kind has them."""

JobId = Annotated[str, StringConstraints(pattern=JOB_ID_PATTERN)]
"""A job's id: its kind's prefix, ``-``, letters and digits. It is part of Redis keys and of paths, and nothing more."""


class JobState(StrEnum):
    """The states of a job."""

    QUEUED = "queued"  # accepted; its next segment waits in the queue
    RUNNING = "running"  # a worker has begun it; it stays running between two segments
    SUCCEEDED = "succeeded"  # its result is published
    FAILED = "failed"  # it ended without a result; `error` says why and what would be right
    CANCELLED = "cancelled"  # a person ended it; its checkpoints are kept

    @property
    def ended(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Progress(Record):
    """How far a job is, in steps of its kind."""

    step: int = 0
    total_steps: int
    eta_seconds: float | None = None


class Transition(Record):
    """One change of a job's state."""

    state: JobState
    at: Moment
    reason: str


class FailureCounts(Record):
    """Failed attempts since the job's newest checkpoint. ``step`` is the step of that checkpoint, 0 without one."""

    step: int = 0
    errors: int = 0  # attempts that ended with an error
    # attempts whose worker stopped renewing its lease; "silences" up to commit b2444ae
    lost_workers: int = Field(0, validation_alias=AliasChoices("lost_workers", "silences"))


class Job(Record):
    """What the jobs of every kind have in common. A kind extends it with fields of its own."""

    progress_event: ClassVar[set[str]] = {"progress"}
    """Fields that the event `progress` of GET …/events shows."""

    paths: ClassVar[frozenset[str]] = frozenset()
    """Fields with a path of this service, which a prefix of its addresses belongs before."""

    id: JobId
    kind: str
    state: JobState
    config: dict[str, Any]
    progress: Progress
    attempts: int = 0
    # "setbacks" up to commit b2444ae
    failures: FailureCounts = Field(
        default_factory=FailureCounts, validation_alias=AliasChoices("failures", "setbacks")
    )
    error: str | None = None
    created_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None
    worker: str | None = None
    transitions: list[Transition] = Field(default_factory=list)
    webhook: JobWebhook | None = None
    # people's own, as in `Remarks`; what Flawsmith says of a training job are its `notes`
    note: str | None = None
    tags: list[str] = Field(default_factory=list)
    noted_at: Moment | None = None

    @property
    def remarks(self) -> Remarks:
        """Its note and tags."""
        return Remarks(note=self.note, tags=self.tags, noted_at=self.noted_at)

    @property
    def texts(self) -> list[str]:
        """What a search looks at: its note and tags, and what it is of."""
        named = (getattr(self, name, None) for name in SEARCHED)
        return [*self.tags, *(each for each in named if isinstance(each, str))]

    @property
    def priority(self) -> int:
        """0 to 9; the queue delivers a higher one first."""
        return int(self.config.get("priority", 0))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Ids of the datasets that the job reads; they cannot be deleted until it ends."""
        return ()

    @property
    def memory_demand(self) -> str:
        """What of the configuration decides how much memory the job needs, such as "batch_size 12 at 64 px"."""
        return "this configuration"

    @property
    def memory_advice(self) -> str:
        """What to try where the memory was too small."""
        return "use a machine with more memory"


@dataclass(frozen=True)
class JobKind:
    """One kind of job. A module with a ``KIND`` of this class adds it; see `core.job_kinds`.

    ``executor`` and ``router`` name an object as ``module:attribute``, so that the API loads no executor and a worker
    no router.
    """

    name: str  # in records, messages and metrics: "training"
    path: str  # of its resource in the API: "/training-jobs"
    id_prefix: str  # of its jobs' ids: "job" for "job-0063…"
    record: type[Job]
    executor: str  # the worker's side: a class that extends `worker.executor.Executor`
    router: str  # the API's side: a fastapi.APIRouter
    queue: str = "train"
    redis_index: str | None = None  # in the keys of its index by state; None: "jobs:" and the name

    @property
    def index(self) -> str:
        return self.redis_index or f"jobs:{self.name}"

    def job_id(self, identity: str) -> str:
        """The id of a job of this kind; see `new_identity`."""
        return f"{self.id_prefix}-{identity}"

    def new_job(self, *, config: dict[str, Any], progress: Progress, **fields: Any) -> Job:
        """A queued job of this kind. Ids sort by the time of creation.

        Raises:
            TypeError: the record has no such field.
            pydantic.ValidationError: a value is not valid for its field.
        """
        if unknown := fields.keys() - self.record.model_fields.keys():
            raise TypeError(f"{self.record.__name__} has no field {', '.join(sorted(unknown))}")
        at = now()
        return self.record(
            id=self.job_id(new_identity()),
            kind=self.name,
            state=JobState.QUEUED,
            config=config,
            progress=progress,
            created_at=at,
            transitions=[Transition(state=JobState.QUEUED, at=at, reason="submitted")],
            **fields,
        )


def valid_job_id(text: str) -> bool:
    """Whether the text has the form of a job's id."""
    return re.fullmatch(JOB_ID_PATTERN, text) is not None


def new_identity() -> str:
    """The unique part of an id. Identities sort by the time at which they were made."""
    return f"{time.time_ns() // 1000:014x}{secrets.token_hex(3)}"


def load_object(name: str) -> Any:
    """Imports what ``module:attribute`` names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
