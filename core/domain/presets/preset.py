"""What a preset tells the API: its overrides, its resolutions, its default length, and how old configurations read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from flawsmith.core.domain.earlier_releases import renamed
from flawsmith.core.domain.presets.layers import NetworkLayers
from flawsmith.core.domain.records import Dataset
from flawsmith.core.domain.request_body import RequestBody


class Overrides(RequestBody):
    """The values that a training job may set, each with its bounds, default and description.

    One of them is ``batch_size``, the number of photographs in one step, unless the preset has no networks.
    """

    def completed(self, dataset: Dataset, resolution: int, steps: int, max_seconds: float | None) -> Self:
        """The same values; those left at None that depend on the dataset, resolution or length are filled in.

        Args:
            dataset: the images to train on.
            resolution: in pixels.
            steps: of the whole run.
            max_seconds: after which it ends sooner; None: no limit.
        """
        return self


@dataclass(frozen=True)
class Length:
    """How long a job trains: passes over its dataset, or steps. Exactly one of the two is set."""

    epochs: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("a length has either epochs or steps")

    def total_steps(self, steps_per_epoch: int) -> int:
        return self.steps or (self.epochs or 0) * steps_per_epoch


class Preset:
    """A recipe that a training job can name.

    A subclass sets the attributes, and its module exposes one instance as ``PRESET``. The networks and the trainer, if
    it has any, are under the same name in `flawsmith.models.presets.registry`.
    """

    name: str
    description: str  # one line
    # Whether it trains networks. Else its images are composed of the photographs, and a version has no weights.
    has_networks: ClassVar[bool] = True
    overrides: type[Overrides]
    resolutions: tuple[int, ...]  # sides in pixels that the networks can be built for
    default_resolution: int
    default_epochs: int | None = None  # None: `default_length` has a rule of its own
    learns_masks: bool = False  # whether its generators can learn to make the masks of their images
    several_devices: bool = False  # whether its trainer can share a step among processes, see `models.training.share`
    shaping: tuple[str, ...]  # overrides that decide the shapes of the networks' weights, beside the resolution
    shaping_of_types: tuple[str, ...] = ()  # the same of weights that belong to defect types, which no prior has
    # Of configurations stored by earlier releases: each field's name then and today, and the values in effect before a
    # field was added.
    renamed_fields: ClassVar[Mapping[str, str]] = {}
    added_fields: ClassVar[Mapping[str, Any]] = {}

    def default_length(self, dataset: Dataset, batch_size: int) -> Length:
        """How long a job trains that names no length."""
        return Length(epochs=self.default_epochs)

    def describe_default_length(self) -> str:
        return str(self.default_epochs)

    def resolution_for(self, dataset: Dataset, max_seconds: float | None) -> int:
        """The resolution of a job that names none and may train so many seconds, without end where None."""
        return self.default_resolution

    def layers(self, config: Mapping[str, Any]) -> NetworkLayers | None:
        """The networks' layers, for estimates; None where a preset does not say.

        Args:
            config: with ``resolution``, ``channels``, ``classes`` and the overrides.
        """
        return None

    def fields_of(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A stored configuration under the field names of today."""
        return {**self.added_fields, **renamed(config, self.renamed_fields)}
