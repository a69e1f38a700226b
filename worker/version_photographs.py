"""The photographs that a model version was trained on, and those that were held out of its training."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.worker.held_out import held_out_squares


@dataclass(frozen=True)
class VersionPhotographs:
    """A version's photographs, cut and scaled as its training saw them: an entry for each square.

    Attributes:
        classes: the defect types.
        images: (N, C, side, side) uint8.
        type_index: (N,) int64, the position of each defect type in ``classes``.
        held_out: (N,) bool, never trained on.
        files: the names of the photographs as they were uploaded.
        masks: for each, the pixels that show a defect, (side, side) bool; None where no mask was uploaded.
    """

    classes: list[str]
    images: Tensor
    type_index: Tensor
    held_out: Tensor
    files: list[str]
    masks: list[Tensor | None]

    def training(self, each_type: int) -> Tensor:
        """Positions of the photographs of a type that were trained on, (M,) int64."""
        return self._positions(~self.held_out & (self.type_index == each_type))

    def holdout(self, each_type: int) -> Tensor:
        """Positions of the photographs of a type that were held out, (M,) int64."""
        return self._positions(self.held_out & (self.type_index == each_type))

    @staticmethod
    def _positions(chosen: Tensor) -> Tensor:
        return chosen.nonzero().squeeze(1)


def load_version_photographs(version: ModelVersion, services: Services) -> VersionPhotographs:
    """Loads the photographs of a published version.

    Raises:
        UnknownDataset: they were deleted.
    """
    return load_photographs(version.dataset_digest, version.preset, version.config, services)


def load_photographs(
    dataset_digest: str, preset: str, config: dict[str, Any], services: Services
) -> VersionPhotographs:
    """Loads the photographs of a run with this preset and configuration.

    Raises:
        UnknownDataset: they were deleted.
    """
    dataset = services.datasets.of_digest(dataset_digest)
    squares = services.datasets.load(dataset.id, config["resolution"], crop_of(config))
    masks = services.datasets.load_masks(dataset.id, config["resolution"], crop_of(config))
    images = torch.from_numpy(squares.pixels).permute(0, 3, 1, 2).contiguous()
    type_index = torch.from_numpy(squares.type_index)
    return VersionPhotographs(
        classes=squares.classes,
        images=images,
        type_index=type_index,
        held_out=held_out_squares(preset, config, squares, dataset.id, services),
        files=squares.files,
        masks=[None if each is None else torch.from_numpy(each) for each in masks],
    )
