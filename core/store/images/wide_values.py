"""Scales pixel values of more than 8 bits to 8 bits.

Cameras of 10, 12 or 14 bits often store their values in files of 16 bits. Scaled as 16 bits, such a picture is almost
black. What white is, only the file's declaration or the range of all pictures of a set can tell.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

FULL_RANGE = 65535
FEW_LABELS = 32  # highest number of a type or a defect in a picture of numbers
HALF_RANGE = 32767  # a picture with values above it uses all 16 bits


@dataclass(frozen=True)
class ValueRange:
    """What a picture of more than 8 bits says about its white.

    Attributes:
        peak: its largest value.
        declared: the value of white that its file declares; None where it declares none.
    """

    peak: int
    declared: int | None

    @property
    def depends_on_set(self) -> bool:
        """Whether the range of other pictures could change this one's white."""
        return self.peak <= HALF_RANGE if self.declared is None else self.peak <= self.declared


def white_of(ranges: list[ValueRange]) -> int:
    """The value of white of pictures with one declaration.

    It is what they declare, unless one of them exceeds it: then the values fill 16 bits, as the PNG specification asks.
    Where they declare nothing, it is the largest value of the fewest bits that hold all values.
    """
    peak, declared = max(each.peak for each in ranges), ranges[0].declared
    if declared is not None:
        return declared if peak <= declared else FULL_RANGE
    return (1 << max(8, peak.bit_length())) - 1


def numbers_labels(values: npt.NDArray[np.uint16]) -> bool:
    """Whether values (H, W) number types or defects, beside 65,535 as a sign to ignore pixels."""
    if values.ndim == 3 or values.max() < FULL_RANGE:
        return False
    below = values[values < FULL_RANGE]
    return 0 < int(below.max(initial=0)) <= FEW_LABELS


def eight_bit(values: npt.NDArray[np.uint16], white: int, *, inverted: bool) -> Image.Image:
    """The picture of values (H, W) or (H, W, 3), mapped linearly from 0 … ``white`` to 0 … 255."""
    if values.ndim == 3 and white == FULL_RANGE:
        scaled = (values >> 8).astype(np.uint8)  # as Pillow decodes colours of 16 bits
    else:
        levels = (np.arange(white + 1) * (255 / white)).round().astype(np.uint8)
        scaled = levels[np.minimum(values, white)]
    return Image.fromarray(255 - scaled if inverted else scaled)
