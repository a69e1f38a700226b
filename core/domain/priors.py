"""Priors: networks trained on drawn surfaces, from which training jobs start instead of random weights."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from flawsmith.core.domain.image_modes import mode_of
from flawsmith.core.domain.presets.preset import Preset

METADATA_KEY = "flawsmith_prior"  # of the card in the safetensors file
LARGEST_BYTES = 10_000_000  # of a file in the wheel
MODES = {"L": "gray", "RGB": "color"}


class PriorCard(BaseModel):
    """What a prior's file says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str
    config: dict[str, Any]  # of its training: `TRAINER_FIELDS` and the preset's overrides
    weights_sha256: str  # of the safetensors serialisation of the weights without metadata; it names the prior
    command: str  # that made it
    seed: int
    pictures: int  # drawn surfaces that it learned from
    steps: int
    images: int  # shown, with repetitions
    seconds: float  # of training
    device: str
    figures: dict[str, float]  # its samples beside held-out drawn surfaces, by the names of the quality measures

    @property
    def shape(self) -> str:
        """Such as "64 px gray"."""
        return shape_of(self.config)


def fitting(priors: Iterable[PriorCard], preset: Preset, config: Mapping[str, Any]) -> PriorCard | None:
    """The prior whose networks have the shape of the configuration's; None if there is none."""
    return next((each for each in priors if not misfits(each, preset, config)), None)


def misfits(prior: PriorCard, preset: Preset, config: Mapping[str, Any]) -> list[str]:
    """The fields of the configuration by which its networks differ from the prior's."""
    if prior.preset != preset.name:
        return ["preset"]
    theirs = preset.fields_of(prior.config)
    return [name for name in ("resolution", "channels", *preset.shaping) if theirs.get(name) != config[name]]


def why_none_fits(priors: Iterable[PriorCard], preset: Preset, config: Mapping[str, Any]) -> str:
    """Why there is no prior for the configuration, in words."""
    of_preset = [each for each in priors if each.preset == preset.name]
    if not of_preset:
        return f"there is no prior of preset '{preset.name}'"
    of_shape = [each for each in of_preset if each.shape == shape_of(config)]
    if not of_shape:
        there_are = ", ".join(sorted(each.shape for each in of_preset))
        return f"there is no prior for {shape_of(config)}; there are: {there_are}"
    nearest = min(of_shape, key=lambda each: len(misfits(each, preset, config)))
    wrong = misfits(nearest, preset, config)
    theirs = preset.fields_of(nearest.config)
    differing = ", ".join(f"{name} {theirs[name]}, not {config[name]}" for name in wrong)
    return f"the prior for {nearest.shape} has {differing}"


def shape_of(config: Mapping[str, Any]) -> str:
    """Resolution and mode in words, such as "64 px gray"."""
    return f"{config['resolution']} px {MODES[mode_of(config['channels'])]}"
