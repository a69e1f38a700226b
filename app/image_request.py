"""What a call asks for: the body of POST /generate, and the image request that it resolves to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from flawsmith.app import image_attributes
from flawsmith.app.image_labels import Wanted, check_labels
from flawsmith.app.media import Format, ImageFormat, MediaType, choose, choose_labelled, zipped_format
from flawsmith.app.model_references import Served
from flawsmith.app.problems import Problem, invalid
from flawsmith.core.domain.addresses import SEEDS, Address, seeded
from flawsmith.core.domain.attributes import Attributes, AttributesOfBody, is_searched
from flawsmith.core.domain.quality_floor import sampling_name
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.withdrawals import Withdrawn


class GenerateRequest(BaseModel):
    """The body of POST /generate.

    Not a `RequestBody`: its validator would have every JSON object built in Python first.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"model": "steel", "count": 4},
                {"model": "steel@1", "seed": 42, "format": "png"},
                {"model": "steel", "count": 16, "format": "json"},
            ]
        },
    )

    model: str = Field(min_length=1, max_length=140, description="`scratches`, `scratches@2`, `scratches@production`")
    count: int = Field(1, ge=1, le=1_000_000, description="images; at most FLAWSMITH_MAX_IMAGES_PER_REQUEST")
    defect_type: str | None = Field(None, max_length=64, description="null: all types of the model in turn")
    seed: int | None = Field(None, ge=0, lt=SEEDS, description="the images seed … seed + count - 1; null: new ones")
    format: Format | None = Field(
        None, description="wins over the header Accept; png, jpeg and webp of several images are a zip of such files"
    )
    deadline_seconds: float = Field(30.0, gt=0, le=600, description="how long the answer may take")
    max_similarity: float | None = Field(
        None,
        ge=0,
        le=1,
        description="to a training photograph, at most: 1 is identical, .5 as near as photographs are to one another "
        "(median). Nearer images are redrawn, at most 20 times each; with a seed, one of them refuses the call",
    )
    attributes: AttributesOfBody | None = Field(
        None,
        description="what the images shall be, of the `attributes` that the version's card lists; they are a part of "
        "the images' addresses. `angle`: of the lines, [low, high] in degrees counter-clockwise from level; "
        "[170, 10] wraps. `brightness`: the mean gray value, 0 to 255. `severity`: the share of the picture that the "
        "anomaly takes, 0 to 1. The latter two choose the first of 32 images that a seed draws; where none has them, "
        "new images are drawn from other seeds, and with a seed the call is 409",
        examples=[{"angle": [30, 60]}, {"brightness": [100, 150], "severity": [0.2, 1]}],
    )
    labels: Literal["mask", "box", "none"] | None = Field(
        None,
        description="what shall come with each image, of a version whose card has `labels`: its mask and boxes, or "
        "boxes alone; application/json and application/zip hold them. New images whose labels have another size or "
        "shape than the real ones are redrawn",
    )


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A request for images, resolved and checked; nothing later looks at the HTTP request for what was asked.

    Attributes:
        version: samples the images.
        addresses: of the images; None: ``count`` images that no caller was given before.
        count: number of images.
        defect_type: of new images; None: all types of the version in turn.
        media_type: of the answer.
        with_pixels: False: the answer holds addresses only.
        deadline_seconds: how long the answer may take.
        withdrawn: addresses of the version that must not be given out.
        max_similarity: to a training photograph; None: any.
        with_nearest: True: the answer names the nearest training photograph of each image.
        attributes: of all images; those with addresses have them in these.
        floor: the lowest score of an image that may be given out; None: any.
        labels: what comes with each image; None: nothing.
        zipped: format of the image files in a zip.
    """

    version: ModelVersion
    addresses: Sequence[Address] | None
    count: int
    defect_type: str | None
    media_type: MediaType
    with_pixels: bool
    deadline_seconds: float
    withdrawn: Withdrawn | None = None
    max_similarity: float | None = None
    with_nearest: bool = False
    attributes: Attributes = ()
    floor: float | None = None
    labels: Wanted | None = None
    zipped: ImageFormat = "png"

    @property
    def sampled(self) -> str:
        """What workers sample and pools hold: see `sampling_name`."""
        return sampling_name(self.version.ref, self.floor, searched=self.is_searched, labelled=self.labels is not None)

    @property
    def counted(self) -> str:
        """Under which name seeds of new images are counted: none comes again with or without attributes and labels."""
        return sampling_name(self.version.ref, self.floor)

    @property
    def is_searched(self) -> bool:
        """Whether each image is chosen among candidates, of which none may do."""
        return bool(self.attributes) and is_searched(self.attributes)

    @property
    def is_measured(self) -> bool:
        """Whether the images must be compared with the training photographs."""
        return self.max_similarity is not None or self.with_nearest


class Flags(NamedTuple):
    """The query parameters of POST /generate: ``data`` and ``nearest``."""

    data: bool
    nearest: bool


def resolve(
    body: GenerateRequest, served: Served, flags: Flags, accept: str | None, services: Services
) -> ImageRequest:
    """The image request of a body whose model is this version, the query parameters and the header Accept.

    Raises:
        Problem: 422 for an unknown defect type or attribute, too many images, a seed beyond the last or ``nearest``
            without JSON; 406 for the header Accept.
    """
    version = served.version
    check_defect_type(version, body.defect_type)
    _check_range(body, services.settings.max_images_per_request)
    attributes = image_attributes.of_body(version, body.attributes, _types(version, body)) if body.attributes else ()
    labels = None if body.labels is None or body.labels == "none" else body.labels
    if labels:
        check_labels(version, labels, "/labels")
    media_type = choose_labelled(accept, body.format) if labels else choose(accept, body.format, body.count)
    addresses = None
    if body.seed is not None:
        addresses = seeded(version.classes, body.defect_type, body.seed, body.count, attributes)
    is_json = media_type == "application/json"
    if flags.nearest and not is_json:
        raise invalid("/query/nearest", f"{media_type} cannot hold this; send the header 'Accept: application/json'")
    return ImageRequest(
        version=version,
        addresses=addresses,
        count=body.count,
        defect_type=body.defect_type,
        media_type=media_type,
        with_pixels=flags.data or not is_json,
        deadline_seconds=body.deadline_seconds,
        withdrawn=served.withdrawn or None,
        max_similarity=body.max_similarity,
        with_nearest=flags.nearest,
        attributes=attributes,
        floor=served.floor,
        labels=labels,
        zipped=zipped_format(body.format),
    )


def _types(version: ModelVersion, body: GenerateRequest) -> Sequence[str]:
    """The defect types of the images that the body asks for."""
    if body.defect_type is not None:
        return [body.defect_type]
    if body.seed is None:
        return version.classes
    addresses = seeded(version.classes, None, body.seed, min(body.count, len(version.classes)))
    return [each.defect_type for each in addresses]


def check_defect_type(version: ModelVersion, defect_type: str | None) -> None:
    """Raises Problem 422 for a defect type that the version does not know."""
    if defect_type is not None and defect_type not in version.classes:
        known = ", ".join(version.classes)
        raise invalid("/defect_type", f"unknown defect_type '{defect_type}'; this model knows: {known}")


def _too_many(limit: int) -> Problem:
    """A 422 that says the bound as a number too, so that clients can split."""
    detail = f"at most {limit} images a call; make several calls for more"
    return Problem(422, "invalid", detail, errors=[{"pointer": "/count", "detail": detail}], most_images=limit)


def _check_range(body: GenerateRequest, limit: int) -> None:
    if body.count > limit:
        raise _too_many(limit)
    if body.seed is not None and body.seed + body.count > SEEDS:
        raise invalid("/seed", f"seed + count - 1 must be at most {SEEDS - 1}")
