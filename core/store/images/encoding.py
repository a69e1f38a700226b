"""Encodes images as PNG, JPEG and WebP."""

import io
from collections.abc import Mapping
from typing import Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from flawsmith.core.domain.digital_source_type import DigitalSourceType, xmp_packet

LOSSY_QUALITY = 95  # at which the grain of a surface survives
_IMAGE_DESCRIPTION = 0x010E  # an EXIF tag
_XMP_KEYWORD = "XML:com.adobe.xmp"  # of the text chunk that holds XMP (XMP specification, part 3)


def encode_png(
    image: Image.Image,
    text: Mapping[str, str] | None = None,
    level: int = 1,
    source_type: DigitalSourceType | None = None,
) -> bytes:
    """A PNG with ``text`` in its text chunks, and ``source_type`` in its XMP.

    Compression level 1: noise hardly shrinks at higher ones.
    """
    chunks = PngInfo()
    if source_type is not None:
        chunks.add_itxt(_XMP_KEYWORD, xmp_packet(source_type))
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value) if not value.isascii() else chunks.add_text(key, value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level, pnginfo=chunks)
    return buffer.getvalue()


def encode(
    image: Image.Image,
    format: Literal["jpeg", "webp"],
    description: str,
    source_type: DigitalSourceType | None = None,
) -> bytes:
    """A JPEG or WebP of quality `LOSSY_QUALITY` with ``description`` in its EXIF and its XMP, ``source_type`` in XMP.

    EXIF has no letters outside ASCII; UTF-8 is what readers take there, and what the guidelines of the Metadata Working
    Group recommend. XMP is UTF-8 by its standard.
    """
    exif = Image.Exif()
    exif[_IMAGE_DESCRIPTION] = description.encode()
    buffer = io.BytesIO()
    xmp = xmp_packet(source_type, description)
    image.save(buffer, format, quality=LOSSY_QUALITY, exif=exif, xmp=xmp.encode())
    return buffer.getvalue()
