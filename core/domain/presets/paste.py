"""The preset `paste`: copies the annotated defects of the photographs onto surface without any."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from flawsmith.core.domain.presets.preset import Overrides, Preset
from flawsmith.core.domain.records import Dataset

MOST_PER_IMAGE = 20


class PasteOverrides(Overrides):
    """What a `paste` job may set."""

    per_image: list[Annotated[int, Field(ge=1, le=MOST_PER_IMAGE)]] = Field(
        [1, 1], min_length=2, max_length=2, description="least and greatest number of defects on an image"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.per_image[0] > self.per_image[1]:
            raise ValueError("per_image must be [low, high], such as [1, 3]")
        return self


class PastePreset(Preset):
    name = "paste"
    description = "From five annotated photographs: their defects on clean places of them. Nothing is trained."
    has_networks = False
    overrides = PasteOverrides
    resolutions = (32, 64, 128, 256)
    default_resolution = 128
    shaping = ()

    def describe_default_length(self) -> str:
        return "none, as nothing is trained"

    def resolution_for(self, dataset: Dataset, max_seconds: float | None) -> int:
        """The least at which the median defect takes half of the side; at most the default, and the photographs'."""
        most = min(dataset.largest_square, self.default_resolution)
        size = dataset.layout.size_of_defects if dataset.layout else None
        wanted = min(2 * size.median, most) if size else most
        fitting = [each for each in self.resolutions if each <= most]
        return next((each for each in fitting if each >= wanted), max(fitting, default=self.resolutions[0]))


PRESET = PastePreset()
