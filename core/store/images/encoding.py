"""Encodes images as PNG, JPEG and WebP."""

import io
from collections.abc import Mapping
from typing import Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo

LOSSY_QUALITY = 95  # at which the grain of a surface survives
_IMAGE_DESCRIPTION = 0x010E  # an EXIF tag


def encode_png(image: Image.Image, text: Mapping[str, str] | None = None, level: int = 1) -> bytes:
    """A PNG with ``text`` in its text chunks. Compression level 1: noise hardly shrinks at higher ones."""
    chunks = PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value) if not value.isascii() else chunks.add_text(key, value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level, pnginfo=chunks)
    return buffer.getvalue()


def encode(image: Image.Image, format: Literal["jpeg", "webp"], description: str) -> bytes:
    """A JPEG or WebP of quality `LOSSY_QUALITY` with ``description`` in its EXIF."""
    exif = Image.Exif()
    exif[_IMAGE_DESCRIPTION] = description
    buffer = io.BytesIO()
    image.save(buffer, format, quality=LOSSY_QUALITY, exif=exif)
    return buffer.getvalue()
