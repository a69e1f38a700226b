"""A published generator in memory: samples images by their addresses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.core.domain.addresses import SEEDS, Address, seeded
from flawsmith.core.domain.attributes import (
    ANGLE,
    BRIGHTNESS,
    MEASURED,
    SEVERITY,
    Attributes,
    Range,
    angle_attribute,
    attributes_text,
    brightness_attribute,
    is_searched,
    range_text,
    severity_attribute,
)
from flawsmith.core.domain.image_modes import without_gray_axis
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.models.inference.latents import latent
from flawsmith.models.inference.session import EVERY_ANGLE, InferenceSession, Precision, device_kind
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.attribute_search import search


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
        self,
        seed: int,
        defect_type: str | None = None,
        angle: Range | None = None,
        *,
        brightness: Range | None = None,
        severity: Range | None = None,
    ) -> NDArray[np.uint8]:
        """The pixels of one image: (H, W) uint8 where the version is gray, else (H, W, C).

        Args:
            seed: 0 … 2**53 - 1.
            defect_type: None: of the version's types, the one whose turn it is at this seed.
            angle: of the lines, from which to which, in degrees counter-clockwise from level; (170, 10) wraps.
            brightness: the image's mean gray value, from which to which, 0 … 255.
            severity: the share of the picture that the anomaly takes, from which to which, 0 … 1.

        Raises:
            ValueError: the seed or a range is none, the version does not know the type or takes no angle, or the seed
                draws no image with this brightness and severity.
        """
        if not 0 <= seed < SEEDS:
            raise ValueError(f"seed {seed} is out of range; seeds are 0 to {SEEDS - 1}")
        if defect_type is not None and defect_type not in self.classes:
            raise ValueError(f"unknown defect type '{defect_type}'; this model knows: {', '.join(self.classes)}")
        addresses = seeded(self.classes, defect_type, seed, 1, _canonical(angle, brightness, severity))
        if not is_searched(addresses[0].attributes):
            return without_gray_axis(self.sample_batch(addresses)[0])
        [found] = search(self.sample_batch, addresses)
        if found.pixels is None:
            have = ", ".join(f"{name} {range_text(each)}" for name, each in found.reach.items())
            asked = attributes_text(addresses[0].attributes)
            raise ValueError(f"seed {seed} draws no image with {asked}; its {found.tried} candidates have {have}")
        return without_gray_axis(found.pixels)

    def sample_batch(self, addresses: Sequence[Address], candidates: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """The pixels of up to `MICRO_BATCH` images in one pass: (B, H, W, C) uint8.

        May be called from several threads at once.

        Args:
            addresses: of the images.
            candidates: which candidate of each address, for a `search`; None: the addresses need none.

        Raises:
            ValueError: an address has an attribute that nothing here looks at.
        """
        size = self.session.latent_size
        pairs = zip(addresses, candidates or [0] * len(addresses), strict=True)
        latents = torch.stack([latent(each.seed, each.defect_type, size, candidate) for each, candidate in pairs])
        type_index = torch.tensor([self.classes.index(each.defect_type) for each in addresses])
        angles = _angles(addresses, frozenset() if candidates is None else MEASURED)
        pixels: NDArray[np.uint8] = self.session.sample(latents, type_index, angles).numpy()
        return pixels


def _canonical(angle: Range | None, brightness: Range | None, severity: Range | None) -> Attributes:
    """Raises ValueError."""
    given = (
        (ANGLE, angle_attribute(), angle),
        (BRIGHTNESS, brightness_attribute(), brightness),
        (SEVERITY, severity_attribute({}), severity),
    )
    return tuple((name, attribute.canonical(bounds)) for name, attribute, bounds in given if bounds is not None)


def _angles(addresses: Sequence[Address], others: frozenset[str]) -> Tensor | None:
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


def _make_reproducible() -> None:
    """Lets a GPU compute float32 in full precision, with the same kernels every time."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
