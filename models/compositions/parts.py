"""What a composition is made of and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(H, W) gray, or (H, W, 3) red, green, blue."""

Mask = NDArray[np.bool_]
"""(H, W)."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


class Blend(StrEnum):
    """How a patch joins its host; see `blending`."""

    AUTO = "auto"
    FEATHER = "feather"
    POISSON = "poisson"


class UnplaceableError(ValueError):
    """No defect fits into the host photograph; the message says why and what would be right."""


@dataclass(frozen=True)
class Patch:
    """A defect with some of the surface around it, in the pixels of its own camera.

    Attributes:
        pixels: of one size with the mask.
        mask: the pixels that show the defect; at least one.
        defect_type: such as `scratches`.
        source: where it came from: a photograph's name or a generated image's address.
        others: the pixels that show other defects, which are no surface of this one; None: there are none.

    Raises:
        ValueError: pixels and mask differ in size, the mask is empty, or the pixels are no gray or colour picture.
    """

    pixels: Pixels
    mask: Mask
    defect_type: str
    source: str
    others: Mask | None = None

    def __post_init__(self) -> None:
        check_pixels(self.pixels, f"the patch {self.source}")
        if self.mask.shape != self.pixels.shape[:2]:
            height, width = self.mask.shape[:2]
            raise ValueError(
                f"the mask of {self.source} is {width} x {height} pixels, but its patch is "
                f"{self.pixels.shape[1]} x {self.pixels.shape[0]}"
            )
        if not self.mask.any():
            raise ValueError(f"the mask of {self.source} is empty; a defect has at least one marked pixel")


@dataclass(frozen=True)
class Rules:
    """How a patch may be changed before it is placed: what the data show, and nothing by default.

    Attributes:
        rotation: lowest and highest angle in degrees counter-clockwise, -180 … 180.
        scale: lowest and highest factor, .25 … 4. Grain is matched after scaling, not scaled with the defect.
        mirror_horizontally, mirror_vertically: whether a mirror image is as plausible.

    Raises:
        ValueError: a range is out of bounds or upside down.
    """

    rotation: tuple[float, float] = (0, 0)
    scale: tuple[float, float] = (1, 1)
    mirror_horizontally: bool = False
    mirror_vertically: bool = False

    def __post_init__(self) -> None:
        for name, (low, high), (least, most) in (
            ("rotation", self.rotation, (-180, 180)),
            ("scale", self.scale, (0.25, 4)),
        ):
            if not least <= low <= high <= most:
                raise ValueError(f"{name} must be [low, high] within {least} … {most}, not [{low}, {high}]")


@dataclass(frozen=True)
class Change:
    """What was done to a patch: mirrored, then turned by `rotation` degrees counter-clockwise and scaled."""

    mirrored_horizontally: bool
    mirrored_vertically: bool
    rotation: float
    scale: float


@dataclass(frozen=True)
class Placed:
    """A defect on its host.

    Attributes:
        source, defect_type: of its patch.
        box: the least rectangle around its pixels.
        marked: (height, width) of the box, its pixels.
        host_shape: height and width of the host.
        change: what was done to the patch.
        blend: `FEATHER` or `POISSON`.
        visibility: how far it stands out of the host's strongest grains, as a multiple; see `blending.visibility`.
    """

    source: str
    defect_type: str
    box: Box
    marked: Mask
    host_shape: tuple[int, int]
    change: Change
    blend: Blend
    visibility: float

    @property
    def mask(self) -> Mask:
        """The pixels of the defect, of the host's size."""
        mask = np.zeros(self.host_shape, bool)
        x, y, width, height = self.box
        mask[y : y + height, x : x + width] = self.marked
        return mask


@dataclass(frozen=True)
class Composition:
    """A whole photograph with defects.

    Attributes:
        pixels: of the host's shape. Where nothing was placed they are the host's.
        placed: its defects; masks do not overlap.
    """

    pixels: Pixels
    placed: Sequence[Placed]

    @property
    def mask(self) -> Mask:
        """The pixels of all defects, (H, W)."""
        marked = np.zeros(self.pixels.shape[:2], bool)
        for each in self.placed:
            x, y, width, height = each.box
            marked[y : y + height, x : x + width] |= each.marked
        return marked


def box_of(mask: Mask) -> Box:
    """The least rectangle around the marked pixels, of which there is at least one."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def check_pixels(pixels: Pixels, name: str) -> None:
    """Raises ValueError unless the pixels are a gray or a colour picture of 8 bits."""
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(f"{name} must be (H, W) gray or (H, W, 3) colour of 8 bits, not {pixels.shape} {pixels.dtype}")
    if 0 in pixels.shape:
        raise ValueError(f"{name} has no pixels")
