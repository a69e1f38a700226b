"""The fields of a training job's configuration that do not depend on its preset."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flawsmith.core.domain.crops import Crop

Start = Literal["prior", "nothing"]
"""What a job without ``init_from`` begins with: the weights of a prior, or random ones."""

TRAINER_FIELDS = ("resolution", "channels", "seed")  # those that every preset's trainer takes


class InheritedHoldout(BaseModel):
    """What says which photographs a run keeps held out: those of the run of the version that it starts from.

    Attributes:
        version: such as scratches@2.
        dataset_digest: of its dataset.
        photographs: of its dataset; they are the first ones of the run's dataset, in the same order.
        preset: of the version.
        config: of its run, the fields that decide its holdout; with an ``inherited_holdout`` of its own if it had one.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str
    dataset_digest: str
    photographs: int
    preset: str
    config: dict[str, Any]


HOLDOUT_FIELDS = (
    "resolution", "channels", "classes", "crop", "whole_photographs", "holdout_by", "inherited_holdout", "seed",
)  # fmt: skip
"""The fields of a configuration that decide which photographs its run holds out."""


class JobConfig(BaseModel):
    """The part of a job's configuration that every preset has; the preset's overrides stand beside it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    resolution: int
    channels: int  # of the images, see `image_modes`
    classes: list[str]
    crop: Crop
    whole_photographs: bool  # held out with all their squares; earlier releases held single squares out
    seed: int
    epochs: int | None
    steps_per_epoch: int
    total_steps: int
    priority: int
    max_seconds: float | None
    patience: int | None
    deterministic: bool
    init_from: str | None  # such as scratches@2
    scale: float | None = None  # pixels of the photographs for one pixel of an image, at the median
    # Left out where there are none, as in earlier releases, so that generator files keep their bytes.
    labels: Literal["mask"] | None = Field(None, exclude_if=lambda labels: labels is None)
    # Configurations of earlier releases have none of these.
    start: Start = "nothing"
    prior: str | None = None  # `weights_sha256` of the prior's card; with ``init_from`` that of the first version
    holdout_by: Literal["type", "photograph"] = "type"  # photograph: one side for its squares of all types
    inherited_holdout: InheritedHoldout | None = None
