"""Finds images with the brightness and severity that their addresses ask for, among candidates that each seed draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import BRIGHTNESS, CANDIDATES, DECIMALS, SEVERITY, Range, in_ranges
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.models.quality.measured_attributes import brightness, severity

Sample = Callable[[Sequence[Address], Sequence[int]], NDArray[np.uint8]]
"""Up to `MICRO_BATCH` addresses, and which candidate of each -> (B, H, W, C) uint8."""

MEASURES: Mapping[str, Callable[[Tensor], Tensor]] = {BRIGHTNESS: brightness, SEVERITY: severity}


@dataclass
class Search:
    """The search for one image.

    Attributes:
        address: asks for at least one measured attribute.
        tried: candidates measured so far, from candidate 0 on.
        pixels: (H, W, C) of the first candidate in all ranges; None while, or because, there is none.
        measured: the values of each attribute asked for, of all candidates tried.
    """

    address: Address
    tried: int = 0
    pixels: NDArray[np.uint8] | None = None
    measured: dict[str, list[float]] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return self.pixels is not None or self.tried == CANDIDATES

    @property
    def reach(self) -> dict[str, Range]:
        """The lowest and the highest value of the candidates tried."""
        return {name: (min(values), max(values)) for name, values in self.measured.items()}

    def take(self, pixels: NDArray[np.uint8], values: Mapping[str, float]) -> None:
        """Notes the next candidate."""
        self.tried += 1
        for name, value in values.items():
            self.measured.setdefault(name, []).append(value)
        if self.pixels is None and in_ranges(self.address.attributes, values):
            self.pixels = pixels


def search(sample: Sample, addresses: Sequence[Address]) -> list[Search]:
    """Searches for the images at up to `MICRO_BATCH` addresses. What is found depends on each address alone."""
    searches = [Search(each) for each in addresses]
    while left := [each for each in searches if not each.is_over]:
        # A pass takes as long however full it is: the fewer are left, the more candidates of each are in it.
        more = MICRO_BATCH // len(left)
        batch = [(each, each.tried + next_) for each in left for next_ in range(min(more, CANDIDATES - each.tried))]
        pixels = sample([each.address for each, _ in batch], [candidate for _, candidate in batch])
        names = {name for each, _ in batch for name, _ in each.address.attributes if name in MEASURES}
        values = measured_values(names, pixels)
        for number, (each, _) in enumerate(batch):
            asked = [name for name, _ in each.address.attributes if name in MEASURES]
            each.take(pixels[number], {name: values[name][number] for name in asked})
    return searches


def measured_values(names: set[str], pixels: NDArray[np.uint8]) -> dict[str, list[float]]:
    """The values of measured attributes, as ranges mean them, of (B, H, W, C) images."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return {name: [round(each, DECIMALS) for each in MEASURES[name](images).tolist()] for name in names}
