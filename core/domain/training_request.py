"""The body of POST /training-jobs, and its JSON Schema."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from flawsmith.core.domain.crops import Crop
from flawsmith.core.domain.job_config import Start
from flawsmith.core.domain.presets.preset import Preset
from flawsmith.core.domain.presets.registry import PRESETS, UnknownPreset
from flawsmith.core.domain.records import Name
from flawsmith.core.domain.request_body import examples
from flawsmith.core.domain.webhook_targets import JobRequest

HIGHEST_SEED = 2**53 - 1  # the largest integer that every JSON reader keeps exactly
EVALUATIONS = 50  # of a whole job, each with a sample grid
MOST_DEVICES = 64  # of one machine
DEFAULT_PRESET = "fewshot"


def _known_preset(name: str) -> str:
    try:
        return PRESETS[name].name
    except UnknownPreset as error:
        raise PydanticCustomError("unknown_preset", "{message}", {"message": str(error)}) from None


def _list_presets(schema: dict[str, Any]) -> None:
    """Called whenever a JSON Schema is made, so that presets loaded later are listed as well."""
    schema["enum"] = PRESETS.names


class TrainingRequest(JobRequest):
    """The body of POST /training-jobs."""

    model_config = examples(
        {"dataset": "steel", "model": "steel", "steps": 400},
        {"dataset": "steel", "model": "steel", "preset": "dcgan", "resolution": 64, "epochs": 20},
    )

    dataset: str = Field(min_length=1, max_length=64, description="a dataset's id or name")
    model: Name = Field(description="the model whose next version the job publishes")
    preset: Annotated[str, AfterValidator(_known_preset)] = Field(
        DEFAULT_PRESET, description="the recipe", json_schema_extra=_list_presets
    )
    resolution: int | None = Field(
        None,
        description="side of the images, in pixels; null: what the photographs fill, at most the preset's default, and "
        "half of that where 'max_seconds' is short; the answer's notes say which",
    )
    epochs: int | None = Field(
        None, ge=1, le=1_000_000, description="passes over the dataset; null: the preset's length"
    )
    steps: int | None = Field(None, ge=1, le=100_000_000, description="updates, instead of epochs")
    seed: int = Field(0, ge=0, le=HIGHEST_SEED, description="of everything random in the run")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="values of the preset that differ from its defaults"
    )
    crop: Crop | None = Field(
        None,
        description="how photographs are cut into squares; null: around annotations where there are some; else a "
        "native grid over photographs more than four times as large as the resolution; else a grid over long ones, or "
        "the middle",
    )
    labels: Literal["mask", "none"] | None = Field(
        None,
        description="mask: learn the photographs' masks together with the images, so that the version's images come "
        "with masks; photographs without one teach what images look like. null: none, or as the version of init_from",
    )
    priority: int = Field(0, ge=0, le=9, description="jobs of a higher priority train first")
    max_seconds: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="end after so many seconds of steps, evaluations and tests of the photographs; waiting, loading, "
        "checkpoints and the last evaluation do not count. Evaluations and tests take at most a tenth of it; where "
        "there is no room for them, only the last step is evaluated",
    )
    patience: int | None = Field(
        None, ge=1, le=EVALUATIONS, description="end after so many evaluations in a row without a better one"
    )
    init_from: str | None = Field(
        None,
        min_length=1,
        max_length=130,
        description="start from the weights of this version, such as scratches@2; "
        "the shape of its networks becomes the default",
    )
    start: Start | None = Field(
        None,
        description="what to begin with: 'prior', networks that have learned from drawn surfaces, or 'nothing', random "
        "weights; null: the prior, where one has the networks' shape",
    )
    devices: int = Field(
        1,
        ge=1,
        le=MOST_DEVICES,
        description="GPUs of one machine that share the photographs of each step, at most; fewer while other jobs need "
        "them. Checkpoints are the same for any number",
    )
    deterministic: bool = Field(
        False, description="the same weights on every run of the same kind of device, at some cost in speed"
    )

    @model_validator(mode="after")
    def _one_length(self) -> "TrainingRequest":
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps are two ways to say the same; give one of them")
        return self

    @model_validator(mode="after")
    def _one_start(self) -> "TrainingRequest":
        if self.start is not None and self.init_from is not None:
            raise ValueError("start and init_from are two ways to begin; give one of them")
        return self


def request_schema() -> dict[str, Any]:
    """JSON Schema of the body of POST /training-jobs, with each preset's overrides, defaults and bounds."""
    schema = TrainingRequest.model_json_schema()
    schema["$defs"] |= {
        preset.name: {**preset.overrides.model_json_schema(), "description": preset.description} for preset in PRESETS
    }
    schema["allOf"] = [
        {"if": {"properties": {"preset": {"const": preset.name}}}, "then": {"properties": _properties(preset)}}
        for preset in PRESETS
    ]
    return schema


def _properties(preset: Preset) -> dict[str, Any]:
    """What the preset says of the body's properties."""
    return {
        "overrides": {"$ref": f"#/$defs/{preset.name}"},
        "resolution": {"enum": [None, *preset.resolutions], "default": preset.default_resolution},
        "epochs": {
            "default": preset.default_epochs,
            "description": f"passes over the dataset; null: {preset.describe_default_length()}",
        },
    }
