"""What a dataset and a model version are: the records that the API answers with and the artifact store keeps."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

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
    mode: Literal["L", "RGB"]
    distinct: dict[str, int] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    rejected: list[RejectedFile]
    created_at: Moment


class HealthState(StrEnum):
    """Whether a job's training can be trusted so far."""

    GOOD = "good"
    WARNING = "warning"  # a person should look
    FAILING = "failing"  # what comes out will not be of use


class Health(Record):
    """Whether a training run can be trusted, with the reasons in words."""

    state: HealthState = HealthState.GOOD
    reasons: list[str] = Field(default_factory=list)


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
    mode: Literal["L", "RGB"]
    preset: str
    config: dict[str, Any]
    training_job: str
    dataset_digest: str
    weights_sha256: str
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
