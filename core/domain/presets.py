"""The words of the presets: which numbers a training job may set, their defaults and bounds.

What the words mean stands in ``models/``; both sides need the words, so they stand here.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flawsmith.core.domain.image_modes import CHANNELS, mode_of
from flawsmith.core.domain.records import Dataset, ModelVersion, Name

HIGHEST_SEED = 2**53 - 1  # the largest integer that every JSON reader keeps exactly
FEWEST_DISTINCT = 2  # photographs of a type
EVALUATIONS = 50  # of a whole job, each with a sample grid


class DcganOverrides(BaseModel):
    """The 2019 article's DCGAN; every default is the article's value."""

    model_config = ConfigDict(extra="forbid", strict=True)

    latent_size: int = Field(100, ge=1, le=1024, description="length of a latent")
    generator_depth: int = Field(
        64,
        ge=1,
        le=256,
        description="channels of the generator's last hidden layer; doubled in each before it",
    )
    discriminator_depth: int = Field(
        128,
        ge=1,
        le=256,
        description="channels of the discriminator's first hidden layer; doubled in each after it",
    )
    generator_learning_rate: float = Field(1e-4, gt=0, le=1, description="Adam's rate for the generator")
    discriminator_learning_rate: float = Field(4e-4, gt=0, le=1, description="Adam's rate for the discriminator")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's decay of the second moment")
    batch_size: int = Field(12, ge=1, le=1024, description="photographs in one step")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the networks' feature maps; bfloat16 is faster where the device computes in it"
    )


class FewshotOverrides(BaseModel):
    """For 20 to 2,000 photographs: relativistic loss, both gradient penalties, augmentation, averaged generator."""

    model_config = ConfigDict(extra="forbid", strict=True)

    latent_size: int = Field(
        64, ge=1, le=1024, description="how many of a latent's numbers are the style, beside those of grain and lines"
    )
    generator_width: int = Field(
        16,
        ge=1,
        le=128,
        description="channels of the generator at the images' resolution; doubled at each one below, "
        "to at most four times as many",
    )
    discriminator_width: int = Field(
        32,
        ge=2,
        le=256,
        description="channels of the discriminator at half the resolution; half as many at the full one; "
        "doubled at each one below, to at most eight times as many",
    )
    learning_rate: float = Field(
        4e-4, gt=0, le=1, description="Adam's rate for both networks at first; a quarter of it at the end"
    )
    gradient_penalty: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="gamma, the weight of both gradient penalties. More is steadier and slower; "
        "null: 200 over the number of photographs, from 0.2 to 1",
    )
    average_images: int = Field(
        10_000,
        ge=1,
        le=100_000_000,
        description="longest half-life of the averaged generator, in photographs shown; "
        "it is a twentieth of those shown so far where that is less",
    )
    augment_probability: float = Field(
        0.7, ge=0, le=1, description="share of the images that the discriminator sees shifted, brightened, contrasted"
    )
    augment_shift: float = Field(0.125, ge=0, le=0.5, description="farthest shift, as a share of the side")
    augment_brightness: float = Field(0.2, ge=0, le=2, description="largest change, black to white being 2")
    augment_contrast: float = Field(0.25, ge=0, lt=1, description="largest change of the contrast's factor")
    horizontal_flip: bool | None = Field(
        None, description="show the discriminator mirrored images; null: where a test finds that photographs allow it"
    )
    vertical_flip: bool | None = Field(None, description="the same, upside down")
    transposition: bool | None = Field(
        None, description="the same, with rows and columns exchanged; with both flips, all quarter turns"
    )
    batch_size: int = Field(16, ge=2, le=1024, description="photographs in one step")
    cuda_graph: bool = Field(
        False,
        description="on a GPU, record the step and replay it: the same but for rounding, fewer launches; "
        "not yet tried on one",
    )


@dataclass(frozen=True)
class Preset:
    """A recipe that a training job can name.

    Its default length is so many epochs; or so many photographs shown for one type, and a third more for each other.
    """

    overrides: type[DcganOverrides] | type[FewshotOverrides]
    resolutions: tuple[int, ...]
    default_resolution: int
    default_epochs: int | None
    default_images: int | None
    shaping: tuple[str, ...]  # overrides that give the networks their shape, resolution aside


PRESETS: dict[str, Preset] = {
    "dcgan": Preset(
        DcganOverrides,
        resolutions=(32, 64, 128, 256),
        default_resolution=128,
        default_epochs=128,
        default_images=None,
        shaping=("latent_size", "generator_depth", "discriminator_depth"),
    ),
    "fewshot": Preset(
        FewshotOverrides,
        resolutions=(32, 64, 128, 256),
        default_resolution=64,
        default_epochs=None,
        default_images=96_000,
        shaping=("latent_size", "generator_width", "discriminator_width"),
    ),
}


class TrainingRequest(BaseModel):
    """The body of POST /training-jobs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str = Field(min_length=1, max_length=64, description="a dataset's id or name")
    model: Name = Field(description="the model whose next version the job publishes")
    preset: Literal["dcgan", "fewshot"] = Field("fewshot", description="the recipe")
    resolution: int | None = Field(None, description="side of the images, in pixels; null: the preset's default")
    epochs: int | None = Field(
        None, ge=1, le=1_000_000, description="passes over the dataset; null: the preset's length"
    )
    steps: int | None = Field(None, ge=1, le=100_000_000, description="updates, instead of epochs")
    seed: int = Field(0, ge=0, le=HIGHEST_SEED, description="of all that is random in the run")
    overrides: dict[str, Any] = Field(default_factory=dict, description="the preset's numbers, where not default")
    priority: int = Field(0, ge=0, le=9, description="jobs of a higher one have their turn first")
    max_seconds: float | None = Field(
        None, gt=0, le=1e9, description="end after so many seconds of training, not counting the time in the queue"
    )
    patience: int | None = Field(
        None, ge=1, le=EVALUATIONS, description="end after so many evaluations in a row without a better one"
    )
    init_from: str | None = Field(
        None,
        max_length=130,
        description="start from the weights of this version, such as scratches@2; its shape of networks is the default",
    )
    deterministic: bool = Field(
        False, description="the same weights on every run of the same kind of device, at some cost in speed"
    )

    @model_validator(mode="after")
    def _one_length(self) -> "TrainingRequest":
        if self.epochs is not None and self.steps is not None:
            raise ValueError("epochs and steps are two ways to say the same; give one of them")
        return self


class CannotTrain(Exception):
    """A request that no run can be made of. ``pointer`` is the JSON pointer of what is wrong in the body."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer, self.detail = pointer, detail


def resolve(request: TrainingRequest, dataset: Dataset, origin: ModelVersion | None = None) -> dict[str, Any]:
    """The whole configuration of a run, defaults included, as the job's record shows it.

    Args:
        request: what was asked for.
        dataset: what it names.
        origin: the version that ``init_from`` names.

    Raises:
        CannotTrain: there are no two different photographs of a type, the preset has no layers for the resolution, or
            ``origin`` is of another preset, or has networks of another shape.
        pydantic.ValidationError: an override is unknown or out of its bounds.
    """
    _check_photographs(dataset)
    preset = PRESETS[request.preset]
    if origin and origin.preset != request.preset:
        raise CannotTrain("/preset", f"{origin.ref} is of preset '{origin.preset}'; init_from needs the same")
    inherited = _shape(origin) if origin else {}
    usual = inherited.pop("resolution", preset.default_resolution)
    resolution = usual if request.resolution is None else request.resolution
    if resolution not in preset.resolutions:
        known = ", ".join(map(str, preset.resolutions))
        raise CannotTrain("/resolution", f"preset '{request.preset}' has layers for {known}, not for {resolution}")
    numbers = preset.overrides.model_validate({**inherited, **request.overrides}).model_dump()
    if "gradient_penalty" in numbers and numbers["gradient_penalty"] is None:
        numbers["gradient_penalty"] = _gradient_penalty(dataset.image_count)
    steps_per_epoch = -(-dataset.image_count // numbers["batch_size"])
    epochs, steps = request.epochs, request.steps
    if epochs is None and steps is None:
        epochs = preset.default_epochs
        steps = preset.default_images and _steps(preset.default_images, dataset, numbers["batch_size"])
    config = {
        "resolution": resolution,
        "channels": CHANNELS[dataset.mode],
        "classes": sorted(dataset.classes),
        "seed": request.seed,
        "epochs": epochs,
        "steps_per_epoch": steps_per_epoch,
        "total_steps": steps or (epochs or 0) * steps_per_epoch,
        **request.model_dump(include={"priority", "max_seconds", "patience", "deterministic"}),
        "init_from": origin.ref if origin else None,
        **numbers,
    }
    if origin:
        _check_shape(config, origin)
    return config


def _steps(images: int, dataset: Dataset, batch_size: int) -> int:
    """The types share what they have in common, so a set of six takes less than six runs."""
    return -(-images * (2 + len(dataset.classes)) // (3 * batch_size))


def _gradient_penalty(photographs: int) -> float:
    """Few photographs are learnt by heart unless it is strong; many are learnt sooner where it is weak."""
    return min(1.0, max(0.2, 200 / photographs))


def _check_photographs(dataset: Dataset) -> None:
    for defect_type, count in dataset.distinct.items():
        if count < FEWEST_DISTINCT:
            which = {0: "none of which shows anything", 1: "all of which show the same"}[count]
            raise CannotTrain(
                "/dataset",
                f"'{dataset.name}' has {dataset.classes[defect_type]} photographs of '{defect_type}', {which}; "
                f"at least {FEWEST_DISTINCT} different ones are needed, and 20 are few",
            )


def _shape(origin: ModelVersion) -> dict[str, Any]:
    """The numbers that a version's networks were built with."""
    return {name: origin.config[name] for name in ("resolution", *PRESETS[origin.preset].shaping)}


def _check_shape(config: dict[str, Any], origin: ModelVersion) -> None:
    for name, value in _shape(origin).items():
        if config[name] != value:
            pointer = "/resolution" if name == "resolution" else f"/overrides/{name}"
            raise CannotTrain(
                pointer, f"{origin.ref} has {name} {value}, not {config[name]}; leave it out, or say {value}"
            )
    if config["channels"] != origin.config["channels"]:
        mode = mode_of(config["channels"])
        raise CannotTrain("/init_from", f"{origin.ref} makes images of mode {origin.mode}, the dataset's are {mode}")
    # A network for one type is told no type: it may go on with another.
    if config["classes"] != origin.classes and not len(config["classes"]) == len(origin.classes) == 1:
        theirs, ours = ", ".join(origin.classes), ", ".join(config["classes"])
        raise CannotTrain(
            "/init_from", f"{origin.ref} knows {theirs}, and the dataset has {ours}; they must be the same"
        )


def request_schema() -> dict[str, Any]:
    """JSON Schema of the body of POST /training-jobs, with each preset's overrides, defaults and bounds."""
    schema = TrainingRequest.model_json_schema()
    schema["$defs"] = {name: preset.overrides.model_json_schema() for name, preset in PRESETS.items()}
    schema["allOf"] = [
        {
            "if": {"properties": {"preset": {"const": name}}},
            "then": {
                "properties": {
                    "overrides": {"$ref": f"#/$defs/{name}"},
                    "resolution": {"enum": [None, *preset.resolutions], "default": preset.default_resolution},
                    "epochs": {"default": preset.default_epochs, "description": _usual_length(preset)},
                }
            },
        }
        for name, preset in PRESETS.items()
    ]
    return schema


def _usual_length(preset: Preset) -> str:
    if preset.default_images is None:
        return f"passes over the dataset; null: {preset.default_epochs}"
    shown = f"as many steps as show {preset.default_images:,} photographs, and a third more for each further type"
    return f"passes over the dataset; null: {shown}"
