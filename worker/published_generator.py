"""A published generator in memory: samples images by their addresses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.core.domain.addresses import SEEDS, Address, seeded
from flawsmith.core.domain.attributes import ANGLE, angle_attribute
from flawsmith.core.domain.image_modes import without_gray_axis
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.models.inference.latents import latent
from flawsmith.models.inference.session import EVERY_ANGLE, InferenceSession, Precision, device_kind
from flawsmith.models.presets.registry import build_generator


class PublishedGenerator:
    """Samples images of one version.

    Args:
        weights: state dict of the generator.
        preset, config, classes, precision, qualified_on: see `ModelVersion`.
        device: where it samples. On another kind of device than ``qualified_on`` it samples in float32.
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
        if device.type == "cuda":
            _make_reproducible()
        generator = build_generator(preset, config, len(classes))
        generator.load_state_dict(dict(weights))
        if device_kind(device) != qualified_on:
            precision = "float32"
        self.session = InferenceSession(generator, generator.latent_size, MICRO_BATCH, precision, device)

    @property
    def takes_angles(self) -> bool:
        """Whether the angle of an image's lines can be given."""
        return self.session.takes_angles

    def sample(
        self, seed: int, defect_type: str | None = None, angle: tuple[float, float] | None = None
    ) -> NDArray[np.uint8]:
        """The pixels of one image: (H, W) uint8 where the version is gray, else (H, W, C).

        Args:
            seed: 0 … 2**53 - 1.
            defect_type: None: of the version's types, the one whose turn it is at this seed.
            angle: of the lines, from which to which, in degrees counter-clockwise from level; (170, 10) wraps.

        Raises:
            ValueError: the seed or the angle is out of range, or the version does not know the type or takes no angle.
        """
        if not 0 <= seed < SEEDS:
            raise ValueError(f"seed {seed} is out of range; seeds are 0 to {SEEDS - 1}")
        if defect_type is not None and defect_type not in self.classes:
            raise ValueError(f"unknown defect type '{defect_type}'; this model knows: {', '.join(self.classes)}")
        attributes = () if angle is None else ((ANGLE, angle_attribute().canonical(angle)),)
        [pixels] = self.sample_batch(seeded(self.classes, defect_type, seed, 1, attributes))
        return without_gray_axis(pixels)

    def sample_batch(self, addresses: Sequence[Address]) -> NDArray[np.uint8]:
        """The pixels of up to `MICRO_BATCH` images in one pass: (B, H, W, C) uint8.

        May be called from several threads at once.
        """
        size = self.session.latent_size
        latents = torch.stack([latent(each.seed, each.defect_type, size) for each in addresses])
        type_index = torch.tensor([self.classes.index(each.defect_type) for each in addresses])
        pixels: NDArray[np.uint8] = self.session.sample(latents, type_index, _angles(addresses)).numpy()
        return pixels


def _angles(addresses: Sequence[Address]) -> Tensor | None:
    """(B, 2) float32, the range of each address; None where no address has one. Raises ValueError."""
    given = [dict(each.attributes) for each in addresses]
    if not any(given):
        return None
    if unknown := {name for each in given for name in each} - {ANGLE}:
        raise ValueError(f"this release knows no attribute {', '.join(sorted(unknown))}")
    return torch.tensor([each.get(ANGLE, EVERY_ANGLE) for each in given])


def _make_reproducible() -> None:
    """Lets a GPU compute float32 in full precision, with the same kernels every time."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
