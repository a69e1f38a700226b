"""Image modes: the number of channels of each. The one place that maps one to the other."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ImageMode = Literal["L", "RGB"]
"""Pillow's names of 8-bit gray and of 8-bit red, green and blue."""

CHANNELS: dict[ImageMode, int] = {"L": 1, "RGB": 3}


def mode_of(channels: int) -> ImageMode:
    """The mode with so many channels.

    Raises:
        ValueError: there is none.
    """
    for mode, count in CHANNELS.items():
        if count == channels:
            return mode
    known = ", ".join(f"{count} ({mode})" for mode, count in CHANNELS.items())
    raise ValueError(f"no image mode has {channels} channels; the modes have: {known}")


def common_mode(modes: Iterable[ImageMode]) -> ImageMode:
    """The mode that can hold images of all these modes: the one with the most channels. Raises ValueError for none."""
    return max(modes, key=CHANNELS.__getitem__)


def without_gray_axis(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 1) -> (H, W), as Pillow expects gray pixels; others stay (H, W, C)."""
    return pixels.squeeze(-1) if pixels.shape[-1] == CHANNELS["L"] else pixels
