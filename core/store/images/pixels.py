"""Pixels in arrays to images and back, in every mode. The one place that knows how Pillow keeps a mode."""

import hashlib
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from flawsmith.core.domain.digital_source_type import DigitalSourceType
from flawsmith.core.domain.image_modes import CHANNELS, ImageMode, mode_of, without_gray_axis
from flawsmith.core.store.images.encoding import encode_png


def image_mode(image: Image.Image) -> ImageMode:
    """The mode with as many channels as the image has bands. Raises ValueError if there is none."""
    return mode_of(len(image.getbands()))


def to_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """The picture that (H, W, C) pixels show."""
    return Image.fromarray(without_gray_axis(pixels))


def to_pixels(image: Image.Image, mode: ImageMode, side: int) -> NDArray[np.uint8]:
    """The middle square of an image, scaled with an antialiasing filter: (side, side, C) with the mode's channels."""
    square = ImageOps.fit(image.convert(mode), (side, side), Image.Resampling.LANCZOS)
    return np.asarray(square).reshape(side, side, CHANNELS[mode])


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 of the pixels; empty where all are equal."""
    if all(low == high for low, high in np.asarray(image.getextrema()).reshape(-1, 2)):
        return ""
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()


def encode_pixels(
    pixels: NDArray[np.uint8], text: Mapping[str, str], source_type: DigitalSourceType | None = None
) -> bytes:
    """The PNG of (H, W, C) pixels, with ``text`` in its text chunks and ``source_type`` in its XMP."""
    return encode_png(to_image(pixels), text, source_type=source_type)


def decode_pixels(png: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG that `encode_pixels` made: (H, W) gray, else (H, W, C)."""
    return np.asarray(Image.open(io.BytesIO(png)))
