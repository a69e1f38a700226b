"""Pixels to images and back."""

import io

import numpy as np
import pytest
from PIL import Image

from flawsmith.core.domain.image_modes import CHANNELS, ImageMode
from flawsmith.core.store.images import decode_pixels, encode_pixels, image_mode, to_image, to_pixels


def noise(mode: ImageMode, height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, CHANNELS[mode]), np.uint8)


@pytest.mark.parametrize("mode", CHANNELS)
def test_an_image_has_the_mode_of_its_pixels(mode: ImageMode) -> None:
    assert image_mode(to_image(noise(mode))) == mode


def test_an_image_of_another_number_of_bands_has_no_mode() -> None:
    with pytest.raises(ValueError, match="no image mode has 4 channels"):
        image_mode(Image.new("RGBA", (4, 4)))


@pytest.mark.parametrize("mode", CHANNELS)
def test_a_png_keeps_its_pixels_and_its_text(mode: ImageMode) -> None:
    pixels = noise(mode)
    png = encode_pixels(pixels, {"Seed": "7"})
    assert np.array_equal(decode_pixels(png).reshape(pixels.shape), pixels)
    assert Image.open(io.BytesIO(png)).info["Seed"] == "7"


def test_an_image_is_cropped_to_its_middle_square() -> None:
    pixels = noise("L", height=20, width=40)
    assert np.array_equal(to_pixels(to_image(pixels), "L", 20), pixels[:, 10:30])


def test_gray_images_become_colour_where_the_dataset_is_in_colour() -> None:
    pixels = noise("L", height=32)
    assert np.array_equal(to_pixels(to_image(pixels), "RGB", 32), pixels.repeat(3, axis=2))
