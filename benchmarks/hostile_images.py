"""Small files that cost a decoder gigabytes or minutes."""

import io
import struct

from PIL import Image


def tiff(tags: list[tuple[int, int, int, int]], behind: bytes = b"", following: int = 0) -> bytes:
    """A TIFF with one directory of (tag, type, count, value), then more bytes."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following) + behind


def picture_tags(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """The tags of a gray picture of one strip."""
    values = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (277, 1)]
    return [(tag, 4, 1, value) for tag, value in values]


def with_huge_tile(side: int = 46_000) -> bytes:
    """A picture of 64 x 64 pixels in one tile of side x side."""
    tile = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 300), (325, 4, 1, 90)]
    tags = [(tag, kind, count, 8 if tag == 259 else value) for tag, kind, count, value in picture_tags(64, 64)]
    return tiff(tags + tile).ljust(390, b"\x78")


def with_many_tags(count: int = 400, size: int = 4_000_000) -> bytes:
    """A picture with many tags, all of which refer to the same bytes."""
    strip = [(273, 4, 1, 8), (278, 4, 1, 64), (279, 4, 1, 64 * 64)]
    return tiff([*picture_tags(64, 64), *strip, *((40_000 + tag, 1, size, 8) for tag in range(count))], bytes(size))


def with_many_directories(count: int = 200_000) -> bytes:
    """A picture with a chain of directories behind its own."""
    strip = [(273, 4, 1, 8), (278, 4, 1, 64), (279, 4, 1, 64 * 64)]
    first = len(tiff([*picture_tags(64, 64), *strip]))
    chain = b"".join(struct.pack("<HHHIII", 1, 256, 4, 1, 64, first + 18 * (index + 1)) for index in range(count))
    return tiff([*picture_tags(64, 64), *strip], chain, first)


def with_many_scans(scans: int = 90, side: int = 7_000) -> bytes:
    """A progressive JPEG of a plain picture whose last scan is repeated."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 150)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()[:-2]
    last = data[data.rindex(b"\xff\xda") :]
    return data + last * (scans - data.count(b"\xff\xda")) + b"\xff\xd9"


def with_many_segments(marker: int, start: bytes, count: int = 3_000) -> bytes:
    """A JPEG with many application segments of the largest size."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 150)).save(buffer, "JPEG")
    segment = bytes([0xFF, marker]) + struct.pack(">H", 65_535) + start.ljust(65_533, b"\1")
    return buffer.getvalue()[:2] + segment * count + buffer.getvalue()[2:]
