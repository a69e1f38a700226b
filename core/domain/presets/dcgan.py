"""The preset `dcgan`: the DCGAN of a 2019 article on scratches in steel."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from flawsmith.core.domain.presets.layers import NetworkLayers, convolution, transposed_convolution
from flawsmith.core.domain.presets.preset import Overrides, Preset


class DcganOverrides(Overrides):
    """What a `dcgan` job may set; every default is the article's value."""

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
    generator_learning_rate: float = Field(1e-4, gt=0, le=1, description="Adam's learning rate for the generator")
    discriminator_learning_rate: float = Field(
        4e-4, gt=0, le=1, description="Adam's learning rate for the discriminator"
    )
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's decay of the second moment")
    batch_size: int = Field(12, ge=1, le=1024, description="photographs in one step")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the networks' feature maps; bfloat16 is faster on devices that compute in it"
    )


class DcganPreset(Preset):
    name = "dcgan"
    description = "The 2019 article's DCGAN; every default is the article's value."
    overrides = DcganOverrides
    resolutions = (32, 64, 128, 256)
    default_resolution = 128
    default_epochs = 128
    several_devices = True
    shaping = ("latent_size", "generator_depth", "discriminator_depth")
    added_fields: ClassVar[Mapping[str, Any]] = {"precision": "float32"}

    def layers(self, config: Mapping[str, Any]) -> NetworkLayers:
        """See `models.presets.dcgan.networks`."""
        channels, types = config["channels"], len(config["classes"]) if len(config["classes"]) > 1 else 0
        sides = [4 * 2**level for level in range((config["resolution"] // 8).bit_length())]
        made = [config["generator_depth"] * sides[-1] // side for side in sides]
        seen = [config["discriminator_depth"] * sides[-1] // side for side in sides]
        generator = [transposed_convolution(config["latent_size"] + types, made[0], 16, 1, 16)]
        for side, wide, narrow in zip(sides, made, [*made[1:], channels], strict=True):
            generator.append(transposed_convolution(wide, narrow, 16, side**2, 4 * side**2))
        discriminator = [convolution(seen[0], 1, 16, 1)]
        for side, outputs, inputs in zip(sides, seen, [*seen[1:], channels + types], strict=True):
            discriminator.append(convolution(inputs, outputs, 16, side**2))
        return NetworkLayers(generator, discriminator)


PRESET = DcganPreset()
