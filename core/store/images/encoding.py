"""Encodes images as PNG, JPEG and WebP."""

import io
from collections.abc import Mapping
from typing import Literal
from xml.sax.saxutils import escape

from PIL import Image
from PIL.PngImagePlugin import PngInfo

LOSSY_QUALITY = 95  # at which the grain of a surface survives
_IMAGE_DESCRIPTION = 0x010E  # an EXIF tag
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def encode_png(image: Image.Image, text: Mapping[str, str] | None = None, level: int = 1) -> bytes:
    """A PNG with ``text`` in its text chunks. Compression level 1: noise hardly shrinks at higher ones."""
    chunks = PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value) if not value.isascii() else chunks.add_text(key, value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level, pnginfo=chunks)
    return buffer.getvalue()


def encode(image: Image.Image, format: Literal["jpeg", "webp"], description: str) -> bytes:
    """A JPEG or WebP of quality `LOSSY_QUALITY` with ``description`` in its EXIF and its XMP.

    EXIF has no letters outside ASCII; UTF-8 is what readers take there, and what the guidelines of the Metadata Working
    Group recommend. XMP is UTF-8 by its standard.
    """
    exif = Image.Exif()
    exif[_IMAGE_DESCRIPTION] = description.encode()
    buffer = io.BytesIO()
    xmp = _XMP.format(escape(description)).encode()
    image.save(buffer, format, quality=LOSSY_QUALITY, exif=exif, xmp=xmp)
    return buffer.getvalue()
