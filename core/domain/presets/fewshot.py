"""The preset `fewshot`: for 20 to 2,000 photographs, without anything to tune."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from flawsmith.core.domain.presets.layers import Layer, NetworkLayers, convolution
from flawsmith.core.domain.presets.preset import Length, Overrides, Preset
from flawsmith.core.domain.records import Dataset

DEFAULT_IMAGES = 96_000  # shown in a job of one defect type
NARROW_ENDS_FROM = 128  # resolution in pixels
PHOTOGRAPHS_OF_A_KIND, MOST_KINDS = 40, 5
LEAST_OF_DEFAULT_FOR_KINDS = 1 / 3  # shorter jobs make better images of one kind
PHOTOGRAPHS_PER_SECOND = 150  # that two CPU cores show, at 64 pixels
SECONDS_AT_DEFAULT = 300.0  # that two CPU cores need for sharp images at the default resolution


class FewshotOverrides(Overrides):
    """What a `fewshot` job may set."""

    latent_size: int = Field(
        64, ge=1, le=1024, description="length of the latent's style part; values for grain and lines come on top"
    )
    generator_width: int = Field(
        16,
        ge=1,
        le=128,
        description="channels of the generator at the images' resolution (with narrow_ends, at half of it); "
        "doubled at each lower resolution, up to four times as many",
    )
    discriminator_width: int = Field(
        32,
        ge=2,
        le=256,
        description="channels of the discriminator at half the resolution; half as many at the full one; "
        "doubled at each lower resolution, up to eight times as many; with narrow_ends, as at half the resolution",
    )
    learning_rate: float = Field(
        4e-4, gt=0, le=1, description="Adam's first learning rate for both networks; it falls to a quarter at the end"
    )
    gradient_penalty: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="gamma, the weight of both gradient penalties. More is steadier and slower; "
        "null: 200 over the number of photographs, from 0.2 to 1. It is meant at 64 pixels; with narrow_ends it is "
        "multiplied by the number of pixels over that at 64",
    )
    ema_half_life_images: int = Field(
        10_000,
        ge=1,
        le=100_000_000,
        description="longest half-life of the generator EMA, in photographs shown; "
        "a twentieth of those shown so far while that is less",
    )
    augment_probability: float = Field(
        0.7,
        ge=0,
        le=1,
        description="share of the images that the discriminator sees with shift, brightness and contrast changed",
    )
    augment_shift: float = Field(0.125, ge=0, le=0.5, description="largest shift, as a share of the side")
    augment_brightness: float = Field(
        0.2, ge=0, le=2, description="largest change of brightness; from black to white is 2"
    )
    augment_contrast: float = Field(0.25, ge=0, lt=1, description="largest change of the contrast's factor")
    horizontal_flip: bool | None = Field(
        None, description="show the discriminator mirrored images; null: if a test finds it a symmetry of the class"
    )
    vertical_flip: bool | None = Field(None, description="the same, upside down")
    transposition: bool | None = Field(
        None, description="the same, with rows and columns exchanged; with both flips, all quarter rotations"
    )
    batch_size: int = Field(16, ge=2, le=1024, description="photographs in one step")
    cuda_graph: bool = Field(
        True,
        description="on a GPU, record the step and replay it: three to six times as fast, the same but for rounding",
    )

    direction: bool = Field(
        True,
        description="tell both networks the direction of each photograph's lines; images then have directions as "
        "photographs have them, or the angle asked for, and level and upright lines do not cross",
    )
    narrow_ends: bool | None = Field(
        None,
        description="at the images' resolution, half as many channels as at half of it and no residual block: three "
        f"times as fast and more; null: from {NARROW_ENDS_FROM} pixels on",
    )
    kinds: int | None = Field(
        None,
        ge=1,
        le=16,
        description="divide the photographs of each type into at most so many kinds by how they look, at most one for "
        "each 20 trained on, and tell both networks the kind, so that rare ones are not left out; only with direction; "
        f"null: one for each {PHOTOGRAPHS_OF_A_KIND} photographs of the smallest type, at most {MOST_KINDS}, in jobs "
        "that show at least a third of the default number of photographs, with max_seconds at "
        f"{PHOTOGRAPHS_PER_SECOND} a second; else one",
    )
    wavelet: bool = Field(
        False, description="only to continue a version of an earlier release that has it: end in Haar transforms"
    )

    @model_validator(mode="after")
    def _one_kind_of_ends(self) -> Self:
        if self.wavelet and self.narrow_ends:
            raise ValueError("'wavelet' and 'narrow_ends' exclude each other; leave 'wavelet' out for a new model")
        if not self.direction and (self.kinds or 1) > 1:
            raise ValueError("'kinds' needs 'direction'; leave one of the two out")
        return self

    def completed(self, dataset: Dataset, resolution: int, steps: int, max_seconds: float | None) -> Self:
        filled: dict[str, Any] = {}
        if self.gradient_penalty is None:
            filled["gradient_penalty"] = _default_gradient_penalty(dataset.image_count)
        if self.narrow_ends is None:
            filled["narrow_ends"] = resolution >= NARROW_ENDS_FROM and not self.wavelet
        if self.kinds is None:
            in_time = math.inf if max_seconds is None else max_seconds * PHOTOGRAPHS_PER_SECOND
            shown = min(steps * self.batch_size, in_time)
            filled["kinds"] = _default_kinds(dataset, shown) if self.direction else 1
        return self.model_copy(update=filled)


class FewshotPreset(Preset):
    name = "fewshot"
    description = (
        "For 20 to 2,000 photographs: relativistic loss, both gradient penalties, augmentation, averaged generator."
    )
    overrides = FewshotOverrides
    resolutions = (32, 64, 128, 256)
    default_resolution = 128
    learns_masks = True
    several_devices = True
    shaping = ("latent_size", "generator_width", "discriminator_width", "direction", "wavelet", "narrow_ends")
    shaping_of_types = ("kinds",)
    renamed_fields: ClassVar[Mapping[str, str]] = {"average_images": "ema_half_life_images"}
    added_fields: ClassVar[Mapping[str, Any]] = {
        "horizontal_flip": None,
        "vertical_flip": None,
        "transposition": None,
        "cuda_graph": False,
        "direction": False,
        "wavelet": False,
        "narrow_ends": False,
        "kinds": 1,
    }

    def resolution_for(self, dataset: Dataset, max_seconds: float | None) -> int:
        """What the largest photographs fill, since enlarged ones would only take longer; at most the default.

        Where time is short, less: a run at 128 pixels shows fewer photographs than one at 64.
        """
        short = max_seconds is not None and max_seconds < SECONDS_AT_DEFAULT
        most = min(dataset.largest_square, self.default_resolution // 2 if short else self.default_resolution)
        return max((each for each in self.resolutions if each <= most), default=self.resolutions[0])

    def layers(self, config: Mapping[str, Any]) -> NetworkLayers:
        return NetworkLayers(_generator_layers(config), _discriminator_layers(config))

    def default_length(self, dataset: Dataset, batch_size: int) -> Length:
        """A third more for each further type: types share what they have in common, so six need less than six runs."""
        return Length(steps=math.ceil(_default_images(dataset) / batch_size))

    def describe_default_length(self) -> str:
        return f"as many steps as show {DEFAULT_IMAGES:,} photographs, and a third more for each further type"


def _generator_layers(config: Mapping[str, Any]) -> list[Layer]:
    """See `models.presets.fewshot.networks.Generator`."""
    resolution, bands = config["resolution"], 4 if config["wavelet"] else 1
    ends = config["wavelet"] or config["narrow_ends"]
    largest = resolution // 2 if ends else resolution  # side with a residual block
    sides = [4 * 2**level for level in range((largest // 4).bit_length())]
    widths = [config["generator_width"] * min(4, largest // side) for side in sides]
    style = 2 * config["latent_size"]
    layers = [convolution(style, 16 * widths[0], 1, 1)]
    for side, wide, width in zip(sides[1:], widths, widths[1:], strict=False):
        strengths = (2 if config["direction"] else 3) + (side >= 32)
        layers += [convolution(wide, width, 1, side**2 // 4), convolution(style, strengths * width, 1, 1)]
        layers += [convolution(width, width, 9, side**2)] * 2 + [convolution(width, width, 1, side)] * 2
    last = widths[-1]
    if config["narrow_ends"]:
        last = max(1, last // 2)
        layers.append(convolution(widths[-1], last, 1, largest**2))
    pictures = bands * (2 if ends and config["direction"] else 1)  # of noise, before the last convolution
    layers.append(convolution(style, pictures * last, 1, 1))
    if config.get("labels") == "mask":
        layers += [convolution(last, each, 9, resolution**2) for each in (last, 1)]
    return [*layers, convolution(last, bands * config["channels"], 9, resolution**2 // bands)]


def _discriminator_layers(config: Mapping[str, Any]) -> list[Layer]:
    """See `models.presets.fewshot.networks.Discriminator`."""
    largest, channels, width = config["resolution"], config["channels"], config["discriminator_width"]
    channels += config.get("labels") == "mask"
    if config["wavelet"] or config["narrow_ends"]:
        largest, channels = largest // 2, 4 * channels
    layers, inputs, side = [convolution(channels, width // 2, 9, largest**2)], width // 2, largest // 2
    while side >= 4:
        outputs = width * min(8, largest // 2 // side)
        layers.append(convolution(inputs, outputs, 16, side**2))
        inputs, side = outputs, side // 2
    return [*layers, convolution(inputs, inputs, 16, 1)]


def _default_images(dataset: Dataset) -> float:
    return DEFAULT_IMAGES * (2 + len(dataset.classes)) / 3


def _default_kinds(dataset: Dataset, shown: float) -> int:
    """One where time is short: what the networks are told of kinds takes longer to learn."""
    if shown < LEAST_OF_DEFAULT_FOR_KINDS * _default_images(dataset):
        return 1
    return min(max(min(dataset.classes.values()) // PHOTOGRAPHS_OF_A_KIND, 1), MOST_KINDS)


def _default_gradient_penalty(photographs: int) -> float:
    """A strong penalty keeps a run from memorising few photographs; a weak one lets it learn many sooner."""
    return min(1.0, max(0.2, 200 / photographs))


PRESET = FewshotPreset()
