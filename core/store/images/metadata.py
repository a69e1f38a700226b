"""Takes what is not needed for the pixels out of PNG and JPEG files, before a decoder reads it.

Comments, text and colour profiles are dropped from every photograph. Whether they are huge, wrong or hostile therefore
must not decide whether its pixels are used.
"""

import struct
import zlib
from collections.abc import Iterator

PNG_SIGNATURE, JPEG_SIGNATURE = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PNG_DEPTH_AT = 24  # the byte with the bits of a channel
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}
_END_CHUNK = b"\0\0\0\0IEND\xaeB`\x82"
_HINT_CHUNKS = {b"eXIf", b"sBIT"}  # orientation and significant bits: used if sound
_MAX_HINT_BYTES = 64 * 1024  # as much as a segment of JPEG holds
_CHUNK = struct.Struct(">I4s")
_SOI, _SOS, _EOI, _COMMENT, _JFIF, _EXIF, _ADOBE = 0xD8, 0xDA, 0xD9, 0xFE, 0xE0, 0xE1, 0xEE  # second bytes of markers
_APPLICATION = range(0xE0, 0xF0)
_MAX_JFIF_BYTES = 16 * 1024
MAX_SCANS = 100  # of a progressive JPEG; encoders write about ten


class BrokenFile(Exception):
    """The file's structure is damaged; the message says where."""


class Animated(Exception):
    """The PNG holds an animation."""


def without_metadata(data: bytes) -> bytes:
    """A PNG or JPEG reduced to its pixels and orientation; any other data as it is.

    Raises:
        BrokenFile: the structure is damaged, or a chunk of the pixels has a wrong checksum.
        Animated: an animated PNG.
    """
    if data.startswith(PNG_SIGNATURE):
        return PNG_SIGNATURE + b"".join(_needed_chunks(data))
    if data.startswith(JPEG_SIGNATURE):
        return b"\xff\xd8" + b"".join(_needed_segments(data))
    return data


def declared_white(data: bytes) -> int | None:
    """The value of white that the chunk sBIT of a PNG declares, where it is of 9 to 15 bits."""
    before_pixels = data.partition(b"IDAT")[0]
    position = before_pixels.find(b"sBIT")
    if not data.startswith(PNG_SIGNATURE) or data[PNG_DEPTH_AT] <= 8 or position < 0:
        return None
    (length,) = struct.unpack_from(">I", data, position - 4)
    bits = max(data[position + 4 : position + 4 + min(length, 3)], default=0)
    return (1 << bits) - 1 if 8 < bits < 16 else None


def _needed_chunks(data: bytes) -> Iterator[bytes]:
    position = len(PNG_SIGNATURE)
    while position < len(data):
        if position + _CHUNK.size > len(data):
            raise BrokenFile("the file was cut short")
        length, kind = _CHUNK.unpack_from(data, position)
        end = position + _CHUNK.size + length + 4
        if kind == b"acTL" and data[position + 8 : position + 12] not in (b"\0\0\0\0", b"\0\0\0\1"):
            raise Animated
        if kind in _PIXEL_CHUNKS or (kind in _HINT_CHUNKS and length <= _MAX_HINT_BYTES):
            chunk = data[position:end]
            if len(chunk) < end - position:
                raise BrokenFile("the file was cut short")
            if zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big"):
                yield chunk
            elif kind in _PIXEL_CHUNKS:
                raise BrokenFile(f"the chunk {kind.decode()} of the PNG has a wrong checksum")
        if kind == b"IEND":
            yield _END_CHUNK  # whatever stands in its place; it says nothing about the pixels
            return
        position = end


def _needed_segments(data: bytes) -> Iterator[bytes]:
    """The segments up to the first scan, then the rest as it is."""
    position, has_exif = 2, False
    while True:
        while data[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        if position + 4 > len(data) or data[position] != 0xFF:
            raise BrokenFile("the JPEG is damaged or was cut short before its pixels")
        marker = data[position + 1]
        if marker == _SOS:
            if data.count(b"\xff\xda", position) > MAX_SCANS:
                raise BrokenFile(f"the JPEG has more than {MAX_SCANS} scans")
            yield data[position:]
            return
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position:end]
        exif = marker == _EXIF and segment[4:10] == b"Exif\0\0" and not has_exif
        has_exif = has_exif or exif
        metadata = marker == _COMMENT or (marker in _APPLICATION and marker not in (_JFIF, _ADOBE))
        if exif or not metadata:
            yield segment
        position = end
