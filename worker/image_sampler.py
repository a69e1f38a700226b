"""What makes the images of a published version in this process: a network, or photographs that are pasted together."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.domain.addresses import SEEDS, Address, seeded
from flawsmith.core.domain.attributes import (
    ANGLE,
    BRIGHTNESS,
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
from flawsmith.worker.attribute_search import search


class ImageSampler(ABC):
    """Samples images of one version by their addresses.

    Attributes:
        classes: the defect types.
        composed: whether images are made of the photographs themselves.
    """

    classes: list[str]
    composed: ClassVar[bool] = False

    @property
    def takes_angles(self) -> bool:
        """Whether the angle of an image's lines can be given."""
        return False

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

    @abstractmethod
    def sample_batch(self, addresses: Sequence[Address], candidates: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """The pixels of up to `MICRO_BATCH` images: (B, H, W, C) uint8, each of which depends on its address alone.

        May be called from several threads at once.

        Args:
            addresses: of the images.
            candidates: which candidate of each address, for a `search`; None: the addresses need none.

        Raises:
            ValueError: an address has an attribute that nothing here looks at.
        """


def _canonical(angle: Range | None, brightness: Range | None, severity: Range | None) -> Attributes:
    """Raises ValueError."""
    given = (
        (ANGLE, angle_attribute(), angle),
        (BRIGHTNESS, brightness_attribute(), brightness),
        (SEVERITY, severity_attribute({}), severity),
    )
    return tuple((name, attribute.canonical(bounds)) for name, attribute, bounds in given if bounds is not None)
