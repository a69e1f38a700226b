"""The preset `fewshot`: for 20 to 2,000 photographs, without anything to tune."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field

from flawsmith.core.domain.presets.preset import Length, Overrides, Preset
from flawsmith.core.domain.records import Dataset

DEFAULT_IMAGES = 96_000  # shown in a job of one defect type
WAVELET_FROM = 128  # resolution in pixels


class FewshotOverrides(Overrides):
    """What a `fewshot` job may set."""

    latent_size: int = Field(
        64, ge=1, le=1024, description="length of the latent's style part; values for grain and lines come on top"
    )
    generator_width: int = Field(
        16,
        ge=1,
        le=128,
        description="channels of the generator at the images' resolution (with wavelet, at half of it); "
        "doubled at each lower resolution, up to four times as many",
    )
    discriminator_width: int = Field(
        32,
        ge=2,
        le=256,
        description="channels of the discriminator at half the resolution; half as many at the full one; "
        "doubled at each lower resolution, up to eight times as many; with wavelet, as at half the resolution",
    )
    learning_rate: float = Field(
        4e-4, gt=0, le=1, description="Adam's first learning rate for both networks; it falls to a quarter at the end"
    )
    gradient_penalty: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="gamma, the weight of both gradient penalties. More is steadier and slower; "
        "null: 200 over the number of photographs, from 0.2 to 1. It is meant at 64 pixels; with wavelet it is "
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
        False,
        description="on a GPU, record the step and replay it: fewer launches, the same but for rounding; "
        "not yet tried on a GPU",
    )

    direction: bool = Field(
        True,
        description="tell both networks the direction of each photograph's lines; images then have directions as "
        "photographs have them, or the angle asked for, and level and upright lines do not cross",
    )
    wavelet: bool | None = Field(
        None,
        description="compute feature maps of at most half the resolution, between Haar transforms: much faster; "
        f"null: from {WAVELET_FROM} pixels on",
    )

    def completed(self, dataset: Dataset, resolution: int) -> Self:
        filled: dict[str, Any] = {}
        if self.gradient_penalty is None:
            filled["gradient_penalty"] = _default_gradient_penalty(dataset.image_count)
        if self.wavelet is None:
            filled["wavelet"] = resolution >= WAVELET_FROM
        return self.model_copy(update=filled)


class FewshotPreset(Preset):
    name = "fewshot"
    description = (
        "For 20 to 2,000 photographs: relativistic loss, both gradient penalties, augmentation, averaged generator."
    )
    overrides = FewshotOverrides
    resolutions = (32, 64, 128, 256)
    default_resolution = 64
    shaping = ("latent_size", "generator_width", "discriminator_width", "direction", "wavelet")
    renamed_fields: ClassVar[Mapping[str, str]] = {"average_images": "ema_half_life_images"}
    added_fields: ClassVar[Mapping[str, Any]] = {
        "horizontal_flip": None,
        "vertical_flip": None,
        "transposition": None,
        "cuda_graph": False,
        "direction": False,
        "wavelet": False,
    }

    def default_length(self, dataset: Dataset, batch_size: int) -> Length:
        """A third more for each further type: types share what they have in common, so six need less than six runs."""
        return Length(steps=-(-DEFAULT_IMAGES * (2 + len(dataset.classes)) // (3 * batch_size)))

    def describe_default_length(self) -> str:
        return f"as many steps as show {DEFAULT_IMAGES:,} photographs, and a third more for each further type"


def _default_gradient_penalty(photographs: int) -> float:
    """A strong penalty keeps a run from memorising few photographs; a weak one lets it learn many sooner."""
    return min(1.0, max(0.2, 200 / photographs))


PRESET = FewshotPreset()
