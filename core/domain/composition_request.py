"""The body of POST /compositions, and what of it can be made."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from flawsmith.core.domain.addresses import SEEDS
from flawsmith.core.domain.export_splits import Shares
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.request_body import examples
from flawsmith.core.domain.webhook_targets import JobRequest

MOST_COMPOSITIONS = 100_000
MOST_DEFECTS = 100  # on one photograph
SPARE_TRIES = 50  # candidates that may find no place, before a job gives up …
TRIES = 4  # … and of so many, one must find one
LONGEST_NAME = 64  # of a background; what is longer is an image
MOST_CHARACTERS = 32 * 2**20  # of an image in base64, 24 MiB of a file

Source = Literal["generated", "real"]

_Pixel = Annotated[float, Field(ge=-1e6, le=1e6)]
_Corner = Annotated[list[_Pixel], Field(min_length=2, max_length=2)]
Polygon = Annotated[list[_Corner], Field(min_length=3, max_length=1000)]
EncodedMask = Annotated[str, Field(min_length=1, max_length=8 * 2**20)]


def _of_one_form(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Gives one reason in place of one for each form, whose pointers name pydantic's types."""
    try:
        return validate(value)
    except ValidationError:
        detail = "must be 3 to 1000 corners [[x, y], …] in pixels, or a mask: a PNG in base64, 8 MiB at most"
        raise PydanticCustomError("region", detail) from None


Region = Annotated[Polygon | EncodedMask, WrapValidator(_of_one_form)]


class CannotCompose(Exception):
    """No composition can be made of a request. ``pointer`` is the JSON pointer of the wrong value in the body."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer, self.detail = pointer, detail


class CompositionRequest(JobRequest):
    """The body of POST /compositions."""

    model_config = examples({"model": "steel", "background": "steel", "count": 20, "split": {"train": 0.8, "val": 0.2}})

    model: str | None = Field(
        None,
        min_length=1,
        max_length=140,
        description="`scratches`, `scratches@2`: its generated defects where the version has labels, else the "
        "annotated ones of the photographs that it was trained on",
    )
    defects: str | None = Field(
        None, min_length=1, max_length=64, description="instead of `model`: a dataset with annotated defects"
    )
    background: str = Field(
        min_length=1,
        max_length=MOST_CHARACTERS,
        description="a dataset with clean photographs, its id or name; or one clean photograph: a file as for datasets "
        "(PNG, JPEG, BMP, TIFF, WebP, GIF) in base64",
    )
    count: int = Field(ge=1, le=MOST_COMPOSITIONS, description="images")
    per_image: list[Annotated[int, Field(ge=1, le=MOST_DEFECTS)]] = Field(
        [1, 3], min_length=2, max_length=2, description="the least and the greatest number of defects on an image"
    )
    types: list[Annotated[str, Field(min_length=1, max_length=64)]] | None = Field(
        None, min_length=1, max_length=1000, description="defect types that are placed; null: all"
    )
    region: Region | None = Field(
        None,
        description="where defects may lie: corners [x, y] in pixels of the background, or a mask of its size (a PNG "
        "in base64, white where they may). null: on the part, where it stands before a uniform background, else "
        "anywhere",
    )
    source: Source | None = Field(
        None,
        description="`generated`: defects of images of `model`, a version with labels; `real`: annotated defects of "
        "photographs; null: generated where the version has masks, else real",
    )
    blend: Literal["auto", "alpha", "poisson"] = Field(
        "auto", description="how defects join the photograph; auto: by the thickness of each"
    )
    split: Shares | None = Field(
        None,
        description="the share of each split; the background of an image decides which it is in. null: no splits",
        examples=[{"train": 0.8, "val": 0.2}],
    )
    seed: int = Field(0, ge=0, lt=SEEDS, description="of the first image; the next ones have the next seeds")
    priority: int = Field(0, ge=0, le=9, description="jobs of a higher priority run first")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.model is None) == (self.defects is None):
            raise PydanticCustomError("defects", "give one of 'model' and 'defects'")
        if self.per_image[0] > self.per_image[1]:
            raise PydanticCustomError("per_image", "'per_image' must be [low, high], such as [1, 3]")
        return self

    @property
    def sends_background(self) -> bool:
        """Whether the background is an image, not the name of a dataset."""
        return len(self.background) > LONGEST_NAME


def chosen_source(request: CompositionRequest, version: ModelVersion | None) -> Source:
    """Where the defects come from.

    Raises:
        CannotCompose: generated defects are asked for, and there is no version, or nothing labels its images.
    """
    if request.source is None:
        return "generated" if version and version.has_networks and version.labels == "mask" else "real"
    if request.source == "generated" and version is None:
        detail = "the defects of a dataset are real; name a version with labels in 'model' instead of 'defects'"
        raise CannotCompose("/source", detail)
    if request.source == "generated" and version and not version.has_networks:
        detail = f"the defects of {version.ref} are those of its photographs: 'source': \"real\" places them"
        raise CannotCompose("/source", detail)
    if request.source == "generated" and version and version.labels is None:
        raise CannotCompose(
            "/source",
            f"{version.ref} has no masks, so no defect can be cut out of its images; POST /models/{version.model}/"
            f"versions/{version.version}/labels publishes a version that has, of the same images, out of annotated "
            "photographs or some painted masks; or place the annotated defects of photographs with 'source': \"real\"",
        )
    return request.source


def resolve_generated(
    request: CompositionRequest, version: ModelVersion, region: Mapping[str, Any] | None, floor: float | None
) -> dict[str, Any]:
    """The whole configuration of a composition job with defects of a version's images, as its record shows it.

    Beside that of `resolve_composition`: ``scale``, pixels of a photograph for one of an image, and ``floor``, the
    lowest score of an image.

    Args:
        request: the body.
        version: with labels.
        region: as for `resolve_composition`.
        floor: the version's quality floor; None: it has none.

    Raises:
        CannotCompose: the version does not know a type, or the seed is too high.
    """
    if unknown := [each for each in request.types or () if each not in version.classes]:
        known = ", ".join(version.classes[:50])
        raise CannotCompose("/types", f"unknown defect_type '{unknown[0]}'; {version.ref} knows: {known}")
    types = [each for each in version.classes if request.types is None or each in request.types]
    # Cards of earlier releases have no scale: then one pixel is one pixel.
    scale = version.config.get("scale") or 1.0
    return {
        **_body_of(request),
        "source": "generated",
        "types": types,
        "region": region,
        "scale": scale,
        "floor": floor,
    }


def resolve_composition(
    request: CompositionRequest, defects: Mapping[str, int], name: str, region: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The whole configuration of a composition job, as its record shows it.

    Beside the body's values: the ``source``, all ``types`` that are placed, and the ``region`` as
    ``{"polygon": [[x, y], …]}`` or ``{"mask": {"size": [width, height], "counts": "…"}}``, COCO's compressed run
    lengths.

    Args:
        request: the body.
        defects: annotated defects of each type in the dataset that they are from.
        name: of that dataset.
        region: as above.

    Raises:
        CannotCompose: the dataset has no annotated defects, or none of a type.
    """
    if not defects:
        pointer = "/model" if request.defects is None else "/defects"
        raise CannotCompose(
            pointer,
            f"nothing is annotated in the photographs of '{name}', so no defect can be cut out of them; upload them "
            "with masks, outlines or boxes (COCO, YOLO, VOC, image and mask pairs, …)",
        )
    if unknown := [each for each in request.types or () if each not in defects]:
        known = ", ".join(f"{type_} ({count})" for type_, count in list(defects.items())[:50])
        raise CannotCompose("/types", f"no defect of type '{unknown[0]}' is annotated in '{name}'; there are {known}")
    types = [each for each in defects if request.types is None or each in request.types]
    return {**_body_of(request), "source": "real", "types": types, "region": region}


def _body_of(request: CompositionRequest) -> dict[str, Any]:
    """The values that the configuration takes as they are. Raises CannotCompose."""
    tries = TRIES * request.count + SPARE_TRIES
    if request.seed + tries >= SEEDS:
        raise CannotCompose("/seed", f"so many images may need seeds up to {tries} later: too high a seed")
    return request.model_dump(exclude={"model", "defects", "background"})


def region_of(polygon: Sequence[Sequence[float]], sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """The region of a polygon. Raises CannotCompose if it lies outside of one of these sizes (width, height)."""
    left, top = (min(corner[axis] for corner in polygon) for axis in (0, 1))
    right, bottom = (max(corner[axis] for corner in polygon) for axis in (0, 1))
    for width, height in sizes:
        if left >= width or top >= height or right <= 0 or bottom <= 0:
            raise CannotCompose(
                "/region",
                f"the polygon lies outside of a photograph of {width} x {height} pixels; corners are in pixels",
            )
    return {"polygon": [list(corner) for corner in polygon]}
