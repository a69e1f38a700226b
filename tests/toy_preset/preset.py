"""What a job of the preset `toy` may set."""

from pydantic import Field

from flawsmith.core.domain.presets.preset import Overrides, Preset


class ToyOverrides(Overrides):
    latent_size: int = Field(4, ge=1, le=64, description="length of a latent")
    batch_size: int = Field(4, ge=1, le=64, description="photographs in one step")


class ToyPreset(Preset):
    name = "toy"
    description = "A linear generator and a linear discriminator: the least that a preset needs."
    overrides = ToyOverrides
    resolutions = (32,)
    default_resolution = 32
    default_epochs = 20
    shaping = ("latent_size",)


PRESET = ToyPreset()
