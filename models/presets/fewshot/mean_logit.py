"""How the discriminator of a `fewshot` run scores images that it was not shown."""

import torch
from torch import Tensor

from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.fewshot.directions import VECTOR, direction_vectors
from flawsmith.models.presets.fewshot.networks import Discriminator


@torch.no_grad()
def mean_logit(discriminator: Discriminator, entries: Tensor | None, images: Tensor, of_type: int) -> float:
    """The discriminator's mean logit for (N, C, side, side) uint8 images of one type.

    Args:
        discriminator: is not changed.
        entries: the photographs' directions, (types, `ENTRIES`, 2 + K), of a network with direction. All kinds are told
            of every image, as often as photographs have them, since its own is not known.
        images: on any device.
        of_type: index of their type.
    """
    images = images.to(discriminator.head.weight.device)
    types = torch.full((len(images),), of_type, device=images.device)
    directions = None
    if entries is not None:
        kinds = entries[of_type, :, VECTOR:].mean(0).expand(len(images), -1)
        directions = torch.cat([direction_vectors(images), kinds], 1)
    seen = from_bytes(images).contiguous(memory_format=torch.channels_last)
    return float(discriminator(seen, types, directions).mean())
