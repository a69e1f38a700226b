"""What a dataset, a training job and a model version *are*: the records that HTTP shows and the store keeps."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from flawsmith.core.domain.image_modes import ImageMode

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A dataset's or a model's name: 1 to 64 letters, digits, ``_``, ``.`` and ``-``, the first a letter or digit."""


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""A time; in JSON, RFC 3339 in UTC with milliseconds."""


def now() -> datetime:
    """The time in whole milliseconds, as records keep it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Record(BaseModel):
    """A value that is replaced, never changed."""

    model_config = ConfigDict(frozen=True)


class RejectedFile(Record):
    """A file of an upload that cannot be used, and why."""

    file: str
    reason: str


class SizeRange(Record):
    """Smallest and largest (width, height) of a dataset's images, each side by itself, in pixels."""

    min: tuple[int, int]
    max: tuple[int, int]


class Dataset(Record):
    """Photographs of one or several defect types, addressed by their content.

    ``distinct`` counts, for each type, the different ones that show anything; ``warnings`` say what is odd about them.
    """

    id: str
    name: str
    digest: str
    image_count: int
    classes: dict[str, int]
    size: SizeRange
    mode: ImageMode
    distinct: dict[str, int] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    rejected: list[RejectedFile]
    created_at: Moment


class JobState(StrEnum):
    """Where a training job stands."""

    QUEUED = "queued"  # accepted; a segment of it waits in the queue
    RUNNING = "running"  # a worker has begun it; between two segments it is running still
    SUCCEEDED = "succeeded"  # its model version is published
    FAILED = "failed"  # it ended without a version; `error` says why and what would be right
    CANCELLED = "cancelled"  # a person ended it; its checkpoints are kept

    @property
    def ended(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Progress(Record):
    """How far a job is. ``epoch`` is a fraction: 1.5 is half through the second pass over the dataset."""

    step: int = 0
    total_steps: int
    epoch: float = 0.0
    images_per_second: float | None = None
    eta_seconds: float | None = None


class Transition(Record):
    """One change of a job's state."""

    state: JobState
    at: Moment
    reason: str


class StopReason(StrEnum):
    """Why a job that succeeded trained no further."""

    COMPLETED = "completed"  # all its steps were done
    MAX_SECONDS = "max_seconds"  # it had trained for as long as it was given
    PATIENCE = "patience"  # so many evaluations in a row were no better than the best


class FailureCounts(Record):
    """What went wrong since the job last moved on. ``step`` is that of its checkpoint, 0 where there is none."""

    step: int = 0
    errors: int = 0  # attempts that ended with an error
    # attempts whose worker was not heard of again
    lost_workers: int = Field(0, validation_alias=AliasChoices("lost_workers", "silences"))


class HealthState(StrEnum):
    """Whether a job's training can be trusted so far."""

    GOOD = "good"
    WARNING = "warning"  # a person should look
    FAILING = "failing"  # what comes out will not be of use


class Health(Record):
    """A judgement of a training run, with its reasons in words."""

    state: HealthState = HealthState.GOOD
    reasons: list[str] = Field(default_factory=list)


class Job(Record):
    """A training job, as GET /training-jobs/{id} shows it."""

    id: str
    state: JobState
    model: str
    dataset: str
    preset: str
    config: dict[str, Any]
    progress: Progress
    losses: dict[str, float] = Field(default_factory=dict)
    health: Health = Field(default_factory=Health)
    checkpoint_step: int | None = None
    attempts: int = 0
    failures: FailureCounts = Field(
        default_factory=FailureCounts, validation_alias=AliasChoices("failures", "setbacks")
    )
    error: str | None = None
    produced: str | None = None
    stop_reason: StopReason | None = None
    created_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None
    worker: str | None = None
    transitions: list[Transition] = Field(default_factory=list)


class ModelVersion(Record):
    """One published generator: what GET /models/{name}/versions/{v} shows, and its card in the store.

    ``step`` is the step of the training that it was taken from, ``distance`` its distance to the photographs,
    ``health`` what was to be said of the run, ``analysis`` what it found out about the photographs and decided by it.
    It draws in ``precision`` on the kind of device that this was ``qualified_on`` (such as ``cpu:avx512_bf16``), on any
    other in float32; between the two, 256 of its images differed by one gray level at most.
    """

    model: str
    version: int
    classes: list[str]
    resolution: int
    mode: ImageMode
    preset: str
    config: dict[str, Any]
    training_job: str
    dataset_digest: str
    weights_sha256: str = Field(
        description="SHA-256 of the generator's safetensors serialisation without metadata, the same for equal weights"
    )
    step: int | None = None
    distance: float | None = None
    health: Health | None = None
    analysis: dict[str, Any] = Field(default_factory=dict, validation_alias=AliasChoices("analysis", "findings"))
    precision: Literal["float32", "bfloat16"] = "float32"
    qualified_on: str = "cpu"
    created_at: Moment

    @property
    def ref(self) -> str:
        return f"{self.model}@{self.version}"


class Model(Record):
    """A model: its versions, newest first, and the aliases that point at them."""

    name: str
    versions: list[int]
    aliases: dict[str, int]
    created_at: Moment


def valid_name(text: str) -> bool:
    """Whether a text can be a dataset's or a model's name."""
    return re.fullmatch(NAME_PATTERN, text) is not None
