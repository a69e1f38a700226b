"""How photographs become the squares that are trained on."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

GRID_ABOVE = 1.5  # longer to shorter side of a dataset's longest photograph, from which on the grid is the default
NATIVE_ABOVE = 4  # photographs' shorter side to that of an image, above which the default keeps the photographs' scale
DEFAULT_CONTEXT = 1.5
DEFAULT_OVERLAP = 0.25


class Around(StrEnum):
    """What a square is cut around."""

    ANNOTATIONS = "annotations"
    MIDDLE = "middle"
    PAD = "pad"
    GRID = "grid"


WHOLE = (Around.MIDDLE, Around.PAD, Around.GRID)
"""Ways to cut squares that need no annotations; the sides of the squares follow from a photograph alone."""


class Crop(BaseModel):
    """How a job cuts photographs into squares. Fields that do not apply are None, and not stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    around: Around = Field(
        description="annotations: several squares around each annotated defect, tiles of defects larger than a square; "
        "grid: as many squares as cover the photograph, without those that miss every labelled defect; "
        "middle: the middle square; pad: the whole photograph, its edge mirrored up to a square"
    )
    native: bool | None = Field(
        None,
        description="keep the photographs' scale: a pixel of an image is a pixel of a photograph. Default: true around "
        "annotations, else false: a square of the grid is as wide as the shorter side, and one around a defect as wide "
        "as it and its surroundings, and both are scaled to the resolution",
    )
    context: float | None = Field(
        None, ge=1, le=10, description="around annotations: what a square shows, as a multiple of its defect (1.5)"
    )
    overlap: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="share of a side that neighbours in a native grid or over a large defect have in common (0.25)",
    )

    @model_validator(mode="after")
    def _applicable(self) -> "Crop":
        if self.around not in (Around.ANNOTATIONS, Around.GRID) and self.native is not None:
            raise ValueError("native goes with around 'annotations' or 'grid'")
        if self.around is not Around.ANNOTATIONS and self.context is not None:
            raise ValueError("context goes with around 'annotations'")
        if self.overlap is not None and not self.measured:
            raise ValueError("overlap goes with around 'annotations', or 'grid' with native true")
        return self

    @model_serializer(mode="wrap")
    def _without_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def measured(self) -> bool:
        """Whether the squares depend on the resolution, the annotations or on values of this crop."""
        return self.around is Around.ANNOTATIONS or (self.around is Around.GRID and self.native is True)

    def completed(self) -> "Crop":
        """The crop with its defaults."""
        if not self.measured:
            return Crop(around=self.around)
        given = self.model_dump()
        defaults: dict[str, Any] = {"native": True, "overlap": DEFAULT_OVERLAP}
        if self.around is Around.ANNOTATIONS:
            defaults["context"] = DEFAULT_CONTEXT
        return Crop(**(defaults | given))


def as_crop(crop: Crop | Around) -> Crop:
    """The crop around something, with its defaults."""
    return (crop if isinstance(crop, Crop) else Crop(around=crop)).completed()


def crop_of(config: Mapping[str, Any]) -> Crop:
    """How a stored configuration cuts. Earlier releases cut the middle and stored nothing about it."""
    return Crop.model_validate(config["crop"]) if "crop" in config else Crop(around=Around.MIDDLE)
