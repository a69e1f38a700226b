"""Reads TIFF files, or refuses them: which layouts Pillow decodes rightly, and tifffile for some of the others."""

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
# Tags of TIFF 6.0
_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR, _MAX_VALUE = 258, 259, 262, 277, 284, 281
_TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 322, 323, 339
_SHORT = 3  # type of a value of 16 bits
_UNCOMPRESSED, _WHITE_IS_ZERO, _BLACK_IS_ZERO, _SEPARATE_PLANES, _UNSIGNED, _SIGNED = 1, 0, 1, 2, 1, 2
_COMMON_TILE_SIDE = 1024  # pixels; a tile may be larger than a small picture


class UnreadableTiff(Exception):
    """A layout that is not read here; the message says what would be right."""


class TiffLayout:
    """What the first directory of a TIFF says about its pixels."""

    def __init__(self, image: Image.Image) -> None:
        tags: Any = getattr(image, "tag_v2", {})
        self.bits = max(_numbers(tags, _BITS, 1))
        self.samples = _numbers(tags, _SAMPLES, 1)[0]
        self.sample_format = max(_numbers(tags, _SAMPLE_FORMAT, _UNSIGNED))
        self.compressed = _numbers(tags, _COMPRESSION, _UNCOMPRESSED)[0] != _UNCOMPRESSED
        self.planes = self.samples > 1 and _numbers(tags, _PLANAR, 1)[0] == _SEPARATE_PLANES
        self.white_is_zero = _numbers(tags, _PHOTOMETRIC, 1)[0] == _WHITE_IS_ZERO
        self.tile = (_numbers(tags, _TILE_WIDTH, 0)[0], _numbers(tags, _TILE_HEIGHT, 0)[0])
        self.max_value = max(_numbers(tags, _MAX_VALUE, 0))

    def check(self, size: tuple[int, int]) -> None:
        """Raises UnreadableTiff for tiles far larger than the picture: a decoder allocates a whole tile."""
        if any(tile > max(side + 15, _COMMON_TILE_SIDE) for tile, side in zip(self.tile, size, strict=True)):
            raise UnreadableTiff(f"its tiles of {self.tile[0]}x{self.tile[1]} pixels are larger than the picture")
        if self.bits <= 8 and self.sample_format == _SIGNED:
            raise UnreadableTiff("signed values of 8 bits; send unsigned values of 8 or 16 bits a channel")

    @property
    def needs_tifffile(self) -> bool:
        """Whether Pillow would decode the pixels wrongly: signed values, and channels in planes of their own."""
        eight_bit_colour = self.bits == 8 and self.samples >= 3
        compressed_colour = self.compressed and self.samples >= 3
        return self.sample_format == _SIGNED or (self.planes and not eight_bit_colour and not compressed_colour)

    @property
    def declared_white(self) -> int | None:
        """The value of white that the tags declare, if it is less than 16 bits hold."""
        if 8 < self.bits < 16:
            return (1 << self.bits) - 1
        return self.max_value if 255 < self.max_value < 65535 else None


def with_black_as_zero(data: bytes) -> bytes | None:
    """A big-endian TIFF with 16 bits where white is zero, its tag changed to "black is zero"; None for other data.

    Pillow reads only the latter. The values stay as they are: the caller has to invert the picture.
    """
    if not data.startswith(b"MM\0*"):
        return None
    try:
        (directory,) = struct.unpack_from(">I", data, 4)
        (count,) = struct.unpack_from(">H", data, directory)
        entries = [directory + 2 + 12 * number for number in range(count)]
        found = {struct.unpack_from(">HHIH", data, at)[:3]: at + 8 for at in entries}
        bits, photometric = (found.get((tag, _SHORT, 1)) for tag in (_BITS, _PHOTOMETRIC))
        if bits is None or photometric is None or struct.unpack_from(">H", data, bits) != (16,):
            return None
        if struct.unpack_from(">H", data, photometric) != (_WHITE_IS_ZERO,):
            return None
    except struct.error:  # a broken file; its decoder says so
        return None
    return data[:photometric] + struct.pack(">H", _BLACK_IS_ZERO) + data[photometric + 2 :]


def read_values(data: bytes, max_pixels: int) -> npt.NDArray[Any]:
    """The values of the first picture of a TIFF: (H, W) or (H, W, channels), of the file's type.

    Raises:
        UnreadableTiff: a layout or compression that tifffile does not read by itself.
    """
    import tifffile  # few files need it, and it takes as long to import as everything else here

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            if not isinstance(page, tifffile.TiffPage) or page.size > 4 * max_pixels or page.axes not in _AXES:
                raise UnreadableTiff("a layout that is not read here; send its channels interleaved")
            values = page.asarray(maxworkers=1)
            return np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
    except UnreadableTiff:
        raise
    except Exception:  # a reader can raise anything on a hostile file
        raise UnreadableTiff(
            "this arrangement of channels and values is not read with this compression; send channels interleaved, or "
            "without compression"
        ) from None


_AXES = ("YX", "YXS", "SYX")


def _numbers(tags: Any, tag: int, default: int) -> tuple[int, ...]:
    """The whole numbers of a tag; ``(default,)`` where there are none."""
    value = tags.get(tag, default)
    numbers = value if isinstance(value, tuple) else (value,)
    return tuple(number for number in numbers if isinstance(number, int)) or (default,)
