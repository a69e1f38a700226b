"""What a dataset and a model version are: the records that the API answers with and the artifact store keeps."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from flawsmith.core.domain.attributes import Attribute
from flawsmith.core.domain.crops import Around
from flawsmith.core.domain.digital_source_type import COMPOSED, DigitalSourceType
from flawsmith.core.domain.image_modes import ImageMode

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A dataset's or a model's name: 1 to 64 letters, digits, ``_``, ``.`` and ``-``, the first a letter or digit."""


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""A time. In JSON: RFC 3339, UTC, with milliseconds."""


def now() -> datetime:
    """The current time, in whole milliseconds as in JSON."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Record(BaseModel):
    """An immutable value: a change makes a new record."""

    model_config = ConfigDict(frozen=True)

    def changed(self, **fields: Any) -> Self:
        """The record with other values of these fields.

        Raises:
            TypeError: there is no such field.
            pydantic.ValidationError: a value is not valid for its field; nothing is converted.
        """
        if unknown := fields.keys() - type(self).model_fields.keys():
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        return self.model_validate({**dict(self), **fields}, strict=True)


class RejectedFile(Record):
    """A file of an upload that cannot be used, and the reason."""

    file: str
    reason: str


class SizeRange(Record):
    """Smallest and largest width and height of a dataset's images, in pixels; each side counts by itself."""

    min: tuple[int, int]
    max: tuple[int, int]


class DefectSize(Record):
    """Sizes of labelled defects, in pixels of the photographs: the square root of the area of the rectangle around."""

    median: float
    min: float


class Layout(Record):
    """What was understood of an upload.

    ``photographs`` are trained on; ``masks`` and ``boxes`` belong to them, ``clean`` photographs are stored beside
    them. ``splits`` counts the photographs of each split in the upload. ``notes`` say what was chosen and why.
    """

    kind: str
    photographs: int
    masks: int
    boxes: int
    clean: int
    splits: dict[str, int]
    size_of_defects: DefectSize | None
    notes: list[str]


class CropEffect(Record):
    """What a way to cut photographs into squares does to a dataset.

    ``images`` squares are trained on; ``pixels_lost`` is the share of the photographs' pixels that none of them shows,
    ``defects_lost`` counts labelled defects that lie wholly outside. ``defect_size`` is the median size of the labelled
    defects, as a share of a square's side; ``side`` the median side of a square, in pixels of the photographs. Around
    annotations squares have types of their own: ``types`` counts the photographs of each, ``left_out`` those without
    annotations.
    """

    images: int
    pixels_lost: float
    defects_lost: int
    defect_size: float | None
    types: dict[str, int] = Field(default_factory=dict)
    left_out: int = 0
    side: float | None = None


class Ancestor(Record):
    """A dataset that another one continues. Its ``photographs`` and ``clean`` ones are the first ones of the other."""

    id: str
    name: str
    digest: str
    photographs: int
    clean: int


class NearDuplicate(Record):
    """A new photograph, and the one of the parent that it resembles as two exposures of one part do."""

    file: str
    of: str


class Added(Record):
    """What an upload added to the parent of a dataset.

    ``copies`` counts photographs of the upload that are there already, pixel by pixel; ``near_duplicates`` lists the
    first of those that nearly are.
    """

    photographs: int
    clean: int
    copies: int
    near_duplicate_count: int
    near_duplicates: list[NearDuplicate]


class Dataset(Record):
    """Photographs of one or several defect types under a name. ``digest`` identifies the content.

    ``distinct`` counts the different photographs of each type, without plain ones, ``defects`` the annotated defects of
    each type; ``warnings`` are the data warnings.
    ``crop`` is the default of training jobs, ``crops`` has the effect of each way to crop; that of squares around
    annotations depends on the resolution, and is that of a job which says none. Datasets of earlier releases
    have neither of them, and no ``layout``. ``parent`` is the id of the dataset that this one continues, ``lineage``
    the first of them all to the parent, and ``added`` what the upload brought.
    ``square`` is the side of the largest square within one photograph, in pixels; None in earlier releases.
    """

    id: str
    name: str
    digest: str
    image_count: int
    classes: dict[str, int]
    size: SizeRange
    square: int | None = None
    mode: ImageMode
    distinct: dict[str, int] = Field(default_factory=dict)
    defects: dict[str, int] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    rejected: list[RejectedFile]
    layout: Layout | None = None
    crop: Around = Around.MIDDLE
    crops: dict[Around, CropEffect] = Field(default_factory=dict)
    parent: str | None = None
    lineage: list[Ancestor] = Field(default_factory=list)
    added: Added | None = None
    created_at: Moment

    @property
    def largest_square(self) -> int:
        """Pixels of the largest square's side; of datasets of earlier releases what it is at most."""
        return self.square or min(self.size.max)

    def photographs_of(self, digest: str) -> int | None:
        """How many of its first photographs are those of the dataset with this digest; None: it is not of its lineage.

        A dataset is of its own lineage.
        """
        if digest == self.digest:
            new = self.added.photographs if self.added else self.image_count
            return new + (self.lineage[-1].photographs if self.lineage else 0)
        return next((each.photographs for each in self.lineage if each.digest == digest), None)


class HealthState(StrEnum):
    """Whether a job's training can be trusted so far."""

    GOOD = "good"
    WARNING = "warning"  # a person should look
    FAILING = "failing"  # what comes out will not be of use


class Health(Record):
    """Whether a training run can be trusted, with the reasons in words."""

    state: HealthState = HealthState.GOOD
    reasons: list[str] = Field(default_factory=list)


class VerdictState(StrEnum):
    """Whether a model version's images can be used."""

    GOOD = "good"
    WARNING = "warning"  # a person should look
    FAILING = "failing"  # served by its number only


class Verdict(Record):
    """What the images of a model version are worth, said before it is published."""

    state: VerdictState
    sentence: str
    reasons: list[str] = Field(default_factory=list)


class Labelling(Record):
    """How a labelled version's label network came about.

    ``job`` trained it, of ``source``: masks of generated images, the annotations of photographs, or both the images and
    the masks of photographs (``training``; the generator itself then makes the masks). It learned from so many
    ``masks`` and ``boxes``. ``agreement`` is the mean intersection over union with annotations that were held
    out; null where too few were there. ``plausible`` is the share of a training's first images whose masks are; null of
    other sources. ``ranges`` has by type, and figure of size or shape, from where to where a mask
    is plausible.
    """

    job: str
    source: Literal["masks", "annotations", "training"]
    masks: int
    boxes: int
    agreement: float | None = None
    plausible: float | None = None
    ranges: dict[str, dict[str, tuple[float, float]]] = Field(default_factory=dict)


class ModelVersion(Record):
    """A published version: what GET /models/{name}/versions/{v} shows, and its card in the store.

    ``step`` is the training step that the weights come from, ``distance`` their distance to the photographs, ``health``
    the health of the training, ``verdict`` what the images are worth (versions of earlier releases have none),
    ``analysis`` what the training found out about the photographs and used, ``attributes`` what callers may ask of an
    image (versions of earlier releases have none), ``digital_source_type`` what the XMP of an image says of its origin
    (the images of earlier releases' versions have no XMP, and keep their bytes). ``labels`` is what images come with on
    request: masks, from which boxes follow, or boxes alone. A version that was labelled after its training has the
    pixels of its ``parent``.
    The generator samples in ``precision`` on the kind of device that it was ``qualified_on`` (such as
    ``cpu:avx512_bf16``), and in float32 on every other kind. To qualify, 256 images in both precisions must differ by
    at most one gray level.
    """

    model: Name
    version: int
    classes: list[str]
    resolution: int
    mode: ImageMode
    preset: str
    config: dict[str, Any]
    training_job: str
    dataset_digest: str
    weights_sha256: str = Field(
        description="SHA-256 of the generator's safetensors serialisation without metadata, the same for equal "
        "weights; of a version without networks, of the file with what its images are composed of"
    )
    step: int | None = None
    distance: float | None = None
    health: Health | None = None
    verdict: Verdict | None = None
    analysis: dict[str, Any] = Field(default_factory=dict, validation_alias=AliasChoices("analysis", "findings"))
    attributes: dict[str, Attribute] = Field(default_factory=dict)
    digital_source_type: DigitalSourceType | None = None
    labels: Literal["mask", "box"] | None = None
    parent: str | None = None
    labelling: Labelling | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    qualified_on: str = "cpu"
    created_at: Moment

    @property
    def ref(self) -> str:
        return f"{self.model}@{self.version}"

    @property
    def published_by(self) -> str:
        """The id of the job that published it."""
        return self.labelling.job if self.labelling else self.training_job

    @property
    def has_networks(self) -> bool:
        """Whether a generator makes its images. Else they are composed of photographs: see `Preset.has_networks`."""
        return self.digital_source_type != COMPOSED

    @property
    def failing(self) -> bool:
        """Whether it is served by its number only. Versions of earlier releases, without a verdict, are not."""
        return self.verdict is not None and self.verdict.state is VerdictState.FAILING


class Model(Record):
    """A model: its versions, newest first, and the aliases that point to them.

    ``serves`` is the version that the bare name means: that of the alias `production`, else the newest version whose
    verdict is not `failing`; null where there is none. ``tags`` are those of its versions, where it is shown.
    """

    name: str
    versions: list[int]
    aliases: dict[str, int]
    serves: int | None = None
    tags: list[str] = Field(default_factory=list)
    created_at: Moment


def valid_name(text: str) -> bool:
    """Whether the text is valid as the name of a dataset or a model."""
    return re.fullmatch(NAME_PATTERN, text) is not None
