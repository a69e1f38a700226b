"""The directions of the photographs that a `fewshot` run trains on, and their kinds."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.presets.fewshot.directions import (
    VICINITY,
    direction_vectors,
    entries_of,
    rotated_directions,
    shares_by_angle,
)
from flawsmith.models.presets.fewshot.kinds import kinds_of


class PhotographDirections:
    """Measures photographs once, on their device.

    Args:
        images: (N, C, side, side) uint8.
        type_index: (N,) int64, on the CPU; every type has photographs.
        types: how many there are.
        kinds: of each type.

    Attributes:
        of_photographs: (N, 2) float32, on the CPU.
        kind: (N,) int64, on the CPU.
    """

    def __init__(self, images: Tensor, type_index: Tensor, types: int, kinds: int) -> None:
        self.of_photographs = direction_vectors(images).cpu()
        self.kinds, self.kind = kinds, torch.zeros(len(images), dtype=torch.int64)
        self._members = [type_index == each for each in range(types)]
        for each in self._members if kinds > 1 else []:
            self.kind[each] = kinds_of(images[each.to(images.device)], kinds)

    @property
    def entries(self) -> Tensor:
        """What generators draw from: (types, `ENTRIES`, 2 + K)."""
        return torch.stack([entries_of(self.told[each]) for each in self._members])

    @property
    def told(self) -> Tensor:
        """What networks are told of the photographs, (N, 2 + K) float32."""
        if self.kinds == 1:
            return self.of_photographs
        return torch.cat([self.of_photographs, F.one_hot(self.kind, self.kinds).float()], 1)

    def labels(self, chosen: Tensor, random: torch.Generator) -> Tensor:
        """What is told of a batch, (B, 2 + K), each turned a little: photographs are matched with neighbouring labels.

        Args:
            chosen: (B,) int64.
            random: on the CPU.
        """
        return rotated_directions(self.told[chosen], VICINITY * torch.randn(len(chosen), generator=random))

    def analysis(self) -> list[dict[str, Any]]:
        """For each type, the share of photographs in each 30 degrees from level on, their median strength, and how many
        photographs there are of each kind where there are several.
        """
        return [
            {
                "shares": shares_by_angle(self.of_photographs[each]),
                "strength": round(self.of_photographs[each].norm(dim=1).median().item(), 3),
                **({"kinds": torch.bincount(self.kind[each], minlength=self.kinds).tolist()} if self.kinds > 1 else {}),
            }
            for each in self._members
        ]
