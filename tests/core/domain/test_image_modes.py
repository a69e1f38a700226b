"""Image modes and their channels."""

import numpy as np
import pytest

from flawsmith.core.domain.image_modes import CHANNELS, common_mode, mode_of, without_gray_axis


def test_mode_and_channels_are_inverse() -> None:
    assert [mode_of(count) for count in CHANNELS.values()] == list(CHANNELS)
    with pytest.raises(ValueError, match=r"no image mode has 2 channels; the modes have: 1 \(L\), 3 \(RGB\)"):
        mode_of(2)


def test_gray_pixels_lose_their_channel_axis_and_colour_pixels_keep_it() -> None:
    assert without_gray_axis(np.zeros((4, 5, 1), np.uint8)).shape == (4, 5)
    assert without_gray_axis(np.zeros((4, 5, 3), np.uint8)).shape == (4, 5, 3)


def test_the_common_mode_has_the_most_channels() -> None:
    assert common_mode(["L", "L"]) == "L"
    assert common_mode(["L", "RGB", "L"]) == "RGB"
