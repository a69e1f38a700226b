"""What the service answers with: datasets, jobs, models, versions and webhooks.

Each record keeps the whole answer in ``raw``, so that what later releases add is not lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: tuple[JobState, ...] = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Record:
    """An answer of the service."""

    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Self:
        """The record that an answer means.

        Raises:
            TypeError: a field is missing that this record cannot do without.
        """
        values = {each.name: answer[each.name] for each in fields(cls) if each.name in answer}
        for name, convert in _CONVERTED.items():
            if values.get(name) is not None:
                values[name] = convert(values[name])
        return cls(raw=answer, **values)


@dataclass(frozen=True, kw_only=True)
class Verdict(Record):
    """What the images of a version are worth: ``state`` is good, warning or failing."""

    state: str
    sentence: str
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Progress(Record):
    """How far a job is, in steps of its kind."""

    step: int = 0
    total_steps: int = 0
    images_per_second: float | None = None
    eta_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset(Record):
    """Photographs under a name. ``rejected`` has each file that cannot be used, as {file, reason}.

    ``parent`` is the id of the dataset that this one continues, ``added`` counts what came to it.
    """

    id: str
    name: str
    digest: str
    image_count: int
    classes: dict[str, int]
    mode: str
    rejected: list[dict[str, str]]
    created_at: datetime
    warnings: list[str] = field(default_factory=list)
    parent: str | None = None
    added: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Job(Record):
    """A job of any kind. One of training has ``model``, ``losses``, ``produced``, ``verdict``; ``raw`` has the rest.

    ``note`` and ``tags`` are people's; ``notes`` are what the service says of a training job.
    """

    id: str
    state: JobState
    progress: Progress
    created_at: datetime
    kind: str = "training"
    config: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    model: str | None = None
    dataset: str | None = None
    version: str | None = None
    losses: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    produced: str | None = None
    verdict: Verdict | None = None
    served_by_name: bool | None = None
    stop_reason: str | None = None
    result: dict[str, Any] | None = None
    note: str | None = None
    tags: list[str] = field(default_factory=list)
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, kw_only=True)
class TrainingPlan(Record):
    """What a training job would be: the answer of a dry run. ``estimate`` has seconds, memory and disk."""

    model: str
    dataset: str
    preset: str
    config: dict[str, Any]
    notes: list[str]
    estimate: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Model(Record):
    """A model: its versions, newest first, its aliases, the version that its bare name ``serves``, and their tags."""

    name: str
    versions: list[int]
    aliases: dict[str, int]
    created_at: datetime
    serves: int | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Version(Record):
    """A version of a model. ``labels`` is what its images come with on request: mask, box, or nothing."""

    model: str
    version: int
    classes: list[str]
    resolution: int
    mode: str
    preset: str
    training_job: str
    dataset_digest: str
    created_at: datetime
    verdict: Verdict | None = None
    labels: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    note: str | None = None
    tags: list[str] = field(default_factory=list)

    @property
    def ref(self) -> str:
        """Such as ``scratches@2``."""
        return f"{self.model}@{self.version}"


@dataclass(frozen=True, kw_only=True)
class Comparison(Record):
    """Two ``versions``, judged on the same photographs. ``sentence`` says which is nearer to them.

    ``measures`` has both values of each measure, ``verdicts`` that on each version by these photographs.
    """

    versions: list[str]
    dataset: str
    created_at: datetime
    leading: str
    measures: list[dict[str, Any]]
    verdicts: list[Verdict]
    sentence: str
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Webhook(Record):
    """A standing webhook. ``ended`` says why it gets no more messages."""

    id: str
    url: str
    events: list[str]
    created_at: datetime
    ended: str | None = None


@dataclass(frozen=True, kw_only=True)
class WebhookMessage(Record):
    """A message to a receiver. ``webhook`` is the id of the standing webhook, or of the job that named the URL.

    ``attempts`` has {at, status, error} of each try, ``next_at`` when it is tried next.
    """

    id: str
    webhook: str
    url: str
    type: str
    state: Literal["pending", "delivered", "failed"]
    payload: str
    attempts: list[dict[str, Any]]
    created_at: datetime
    next_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Event(Record):
    """A server-sent event of a job: ``name`` is progress, samples, state, or one of the job's kind."""

    id: str
    name: str
    data: dict[str, Any]

    @property
    def progress(self) -> Progress | None:
        """How far the job is; None in other events than `progress`."""
        return Progress.read(self.data["progress"]) if "progress" in self.data else None


@dataclass(frozen=True, kw_only=True)
class Readiness(Record):
    """Whether the service is ready: ``missing`` names the parts that are down, ``warnings`` what else is wrong."""

    status: str
    missing: list[str]
    warnings: list[str]

    @property
    def ready(self) -> bool:
        return self.status == "ready"


_CONVERTED: dict[str, Any] = {
    "created_at": datetime.fromisoformat,
    "started_at": datetime.fromisoformat,
    "finished_at": datetime.fromisoformat,
    "next_at": datetime.fromisoformat,
    "verdict": Verdict.read,
    "verdicts": lambda each: [Verdict.read(verdict) for verdict in each],
    "progress": Progress.read,
}
