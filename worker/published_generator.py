"""A published generator in memory: samples images by their addresses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import ANGLE, MEASURED
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.models.inference.latents import latent
from flawsmith.models.inference.session import EVERY_ANGLE, InferenceSession, Precision, device_kind
from flawsmith.models.presets.registry import generator_with_weights
from flawsmith.worker.image_sampler import ImageSampler


class PublishedGenerator(ImageSampler):
    """Samples images of one version with its network.

    Args:
        weights: state dict of the generator.
        preset, config, classes, precision, qualified_on: see `ModelVersion`.
        device: where it samples. On another kind of device than ``qualified_on`` it samples in float32.

    Raises:
        UnfitFiles: the weights are of another network than preset and configuration say.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        preset: str,
        config: dict[str, Any],
        classes: list[str],
        precision: Precision,
        qualified_on: str,
        device: torch.device,
    ) -> None:
        self.classes = classes
        generator = generator_with_weights(preset, config, len(classes), weights)
        if device_kind(device) != qualified_on:
            precision = "float32"
        self.session = InferenceSession(generator, generator.latent_size, MICRO_BATCH, precision, device)

    @property
    def takes_angles(self) -> bool:
        return self.session.takes_angles

    def sample_batch(self, addresses: Sequence[Address], candidates: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """One pass; see `ImageSampler.sample_batch`."""
        size = self.session.latent_size
        pairs = zip(addresses, candidates or [0] * len(addresses), strict=True)
        latents = torch.stack([latent(each.seed, each.defect_type, size, candidate) for each, candidate in pairs])
        type_index = torch.tensor([self.classes.index(each.defect_type) for each in addresses])
        angles = angles_of(addresses, frozenset() if candidates is None else MEASURED)
        pixels: NDArray[np.uint8] = self.session.sample(latents, type_index, angles).numpy()
        return pixels


def angles_of(addresses: Sequence[Address], others: frozenset[str]) -> Tensor | None:
    """(B, 2) float32, the range of each address; None where no address has one.

    Raises:
        ValueError: an address has an attribute that is neither the angle nor one of the others.
    """
    given = [dict(each.attributes) for each in addresses]
    if not any(given):
        return None
    names = {name for each in given for name in each}
    if unknown := names - others - {ANGLE}:
        raise ValueError(f"this release knows no attribute {', '.join(sorted(unknown))}")
    return torch.tensor([each.get(ANGLE, EVERY_ANGLE) for each in given]) if ANGLE in names else None
