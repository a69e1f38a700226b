"""The directions of the photographs that a `fewshot` run trains on."""

from typing import Any

import torch
from torch import Tensor

from flawsmith.models.presets.fewshot.directions import (
    VICINITY,
    direction_vectors,
    entries_of,
    rotated_directions,
    shares_by_angle,
)


class PhotographDirections:
    """Measures photographs once, on their device.

    Args:
        images: (N, C, side, side) uint8.
        type_index: (N,) int64, on the CPU; every type has photographs.
        types: how many there are.

    Attributes:
        of_photographs: (N, 2) float32, on the CPU.
    """

    def __init__(self, images: Tensor, type_index: Tensor, types: int) -> None:
        self.of_photographs = direction_vectors(images).cpu()
        self._members = [type_index == each for each in range(types)]

    @property
    def entries(self) -> Tensor:
        """What generators draw from: (types, `ENTRIES`, 2)."""
        return torch.stack([entries_of(self.of_photographs[each]) for each in self._members])

    def labels(self, chosen: Tensor, random: torch.Generator) -> Tensor:
        """The directions of a batch, each turned a little, (B, 2): photographs are matched with neighbouring labels.

        Args:
            chosen: (B,) int64.
            random: on the CPU.
        """
        return rotated_directions(self.of_photographs[chosen], VICINITY * torch.randn(len(chosen), generator=random))

    def analysis(self) -> list[dict[str, Any]]:
        """For each type, the share of photographs in each 30 degrees from level on, and their median strength."""
        return [
            {
                "shares": shares_by_angle(self.of_photographs[each]),
                "strength": round(self.of_photographs[each].norm(dim=1).median().item(), 3),
            }
            for each in self._members
        ]
