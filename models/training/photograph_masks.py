"""Masks of photographs, for trainers that learn them together with the images."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PhotographMasks:
    """Where photographs show a defect: an entry for each image.

    Attributes:
        pixels: (N, 1, side, side) uint8: 255 where the defect is, 0 where it is not, at its edge what share of a pixel.
        known: (N,) bool on the CPU; false for images without a mask, which may show defects anywhere.
    """

    pixels: Tensor
    known: Tensor

    def __getitem__(self, chosen: Tensor) -> "PhotographMasks":
        return PhotographMasks(self.pixels[chosen], self.known[chosen])
