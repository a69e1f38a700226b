"""Masks in a `fewshot` run: behind photographs as one more channel, and in which pairs the discriminator sees them."""

import torch
from torch import Tensor

from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.fewshot.blocks import MASK_AMPLITUDE
from flawsmith.models.training.photograph_masks import PhotographMasks

HIDDEN = 0.5  # share of the pairs with a mask in which the discriminator sees the images alone


class MaskedPairs:
    """The masks of the photographs that a run trains on.

    The discriminator sees some pairs with masks, and the images of all others alone: so photographs without a mask
    teach as before, and what an image must look like is not left to its mask.

    Args:
        masks: of the photographs.
        device: where the networks live.
    """

    def __init__(self, masks: PhotographMasks, device: torch.device) -> None:
        self._pixels, self._known = masks.pixels.to(device), masks.known

    def shown(self, chosen: Tensor, random: torch.Generator) -> Tensor:
        """Which pairs the discriminator sees with masks, (B,) bool on the CPU; ``chosen``: (B,) int64."""
        return self._known[chosen] & (torch.rand(len(chosen), generator=random) >= HIDDEN)

    def behind(self, images: Tensor, chosen: Tensor) -> Tensor:
        """Photographs with their masks as the last channel: (B, C, side, side) -> (B, C + 1, side, side).

        Args:
            images: float32 from -1 to 1.
            chosen: (B,) int64, which photographs they are; all on the device.
        """
        return torch.cat([images, MASK_AMPLITUDE * from_bytes(self._pixels[chosen])], 1)
