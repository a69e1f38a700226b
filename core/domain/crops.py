"""How photographs become the squares that are trained on."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

GRID_ABOVE = 1.5  # longer to shorter side of a dataset's longest photograph, from which on the grid is the default


class Around(StrEnum):
    """What a square is cut around."""

    MIDDLE = "middle"
    PAD = "pad"
    GRID = "grid"


class Crop(BaseModel):
    """How a job cuts photographs that are not square."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    around: Around = Field(
        description="middle: the middle square; pad: the whole photograph, its edge mirrored up to a square; "
        "grid: as many squares as cover the photograph, without those that miss every labelled defect"
    )


def crop_of(config: Mapping[str, Any]) -> Around:
    """What a stored configuration cuts around. Earlier releases cut the middle and stored nothing about it."""
    return Around(config["crop"]["around"]) if "crop" in config else Around.MIDDLE
