"""Decodes the pictures that callers upload, within bounds."""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from flawsmith.core.store.images.metadata import (
    PNG_DEPTH_AT,
    PNG_SIGNATURE,
    Animated,
    declared_white,
    without_metadata,
)
from flawsmith.core.store.images.tiff import (
    TIFF_SIGNATURES,
    TiffLayout,
    UnreadableTiff,
    read_values,
    with_black_as_zero,
)
from flawsmith.core.store.images.wide_values import (
    FULL_RANGE,
    HALF_RANGE,
    ValueRange,
    eight_bit,
    numbers_labels,
    white_of,
)

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
_ORIENTATION = 0x0112  # an EXIF tag

# `_check_header` compares every picture with the caller's bound before it decodes a pixel. Pillow's own check only
# warns up to twice its bound, and above that raises before the picture's size is known.
Image.MAX_IMAGE_PIXELS = None


class UnusableImage(Exception):
    """The bytes are not a photograph that can be trained on; the message says why."""


@dataclass(frozen=True)
class Decoded:
    """A picture in mode L or RGB; ``range`` where its file has more than 8 bits a channel."""

    image: Image.Image
    range: ValueRange | None = None


def decode_photograph(
    data: bytes,
    *,
    max_pixels: int,
    min_side: int,
    white: int | None = None,
    on_size: Callable[[tuple[int, int]], None] = lambda size: None,
) -> Decoded:
    """Decodes a picture to mode L or RGB, 8 bits a channel, oriented as its EXIF says.

    Values of more than 8 bits are scaled linearly from 0 … ``white`` to 0 … 255; if it is None, by what this file alone
    says (`wide_values.white_of`). Transparent pixels are laid on black; an alpha channel with one value is ignored. An
    RGB picture with three equal channels becomes L. All metadata is dropped. ``on_size`` gets (width, height) first.

    Raises:
        UnusableImage: not one of `FORMATS`, broken, an animation, too small, or with more than ``max_pixels``.
    """
    if not data:
        raise UnusableImage("the file is empty")
    try:
        return _read(without_metadata(data), max_pixels, min_side, white, on_size)
    except UnusableImage:
        raise
    except UnreadableTiff as error:
        raise UnusableImage(str(error)) from None
    except Animated:
        raise UnusableImage("an animation; send single photographs") from None
    except UnidentifiedImageError:
        if data.startswith(TIFF_SIGNATURES):
            raise UnusableImage("a TIFF that is not read here, or a broken one; send RGB of 8 bits") from None
        raise UnusableImage(f"not an image of an accepted format ({', '.join(FORMATS)}), or a broken one") from None
    except MemoryError:
        raise UnusableImage("it takes too much memory to decode") from None
    except Exception as error:  # a decoder can raise anything on a hostile file
        raise UnusableImage(f"the image is broken: {str(error)[:100] or type(error).__name__}") from None


def _read(
    data: bytes, max_pixels: int, min_side: int, white: int | None, on_size: Callable[[tuple[int, int]], None]
) -> Decoded:
    turned_tag = with_black_as_zero(data)
    data = turned_tag or data
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        layout = _check_header(image, max_pixels, min_side)
        on_size(image.size)
    if layout and turned_tag:
        layout.white_is_zero = True
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return _decoded(image, data, layout, max_pixels, white)


def _check_header(image: Image.Image, max_pixels: int, min_side: int) -> TiffLayout | None:
    """Checks what the header says before any pixel is decoded; the layout of a TIFF, None for other formats."""
    width, height = image.size
    if width * height > max_pixels:
        raise UnusableImage(f"too many pixels: {width}x{height}; at most {max_pixels:,}")
    if min(width, height) < min_side:
        raise UnusableImage(f"too small: {width}x{height}; each side must have at least {min_side} pixels")
    layout = TiffLayout(image) if image.format == "TIFF" else None
    if layout:
        layout.check(image.size)
    if _has_second_frame(image):
        raise UnusableImage("an animation or a stack of 2 or more pictures; send single photographs")
    return layout


def _has_second_frame(image: Image.Image) -> bool:
    """Whether there is a second picture. Counting all of them would read a file of any number of them whole."""
    if image.format not in ("TIFF", "GIF", "WEBP"):
        return False
    try:
        image.seek(1)
    except Exception:  # no other picture, or a broken reference to one: the first is still whole
        return False
    return True


def _decoded(image: Image.Image, data: bytes, layout: TiffLayout | None, max_pixels: int, white: int | None) -> Decoded:
    declared = layout.declared_white if layout else declared_white(data)
    orientation = _orientation(image)
    if layout and layout.needs_tifffile:
        values: npt.NDArray[np.uint16] | None = _sixteen_bit(read_values(data, max_pixels))
    else:
        image.load()
        values = _wide_values(image, data, layout, max_pixels, declared)
        if layout and (values is None or values.ndim == 2):
            orientation = _orientation(image)  # Pillow turns the TIFF files that it decodes itself
    picture, found = image, None
    if _channel_bits(data, layout) > 8:
        found = ValueRange(FULL_RANGE if values is None else int(values.max()), declared)
    if values is not None:
        white = (white or white_of([found])) if found else 255
        inverted = layout is not None and layout.white_is_zero
        if numbers_labels(values) and not inverted:
            values = np.minimum(values, 255)  # the numbers as they are, and the sign to ignore is that of 8 bits
            white = 255
        picture = eight_bit(values, white, inverted=inverted)
    turn = _TURNS.get(orientation)
    picture = _gray_or_colour(picture.transpose(turn) if turn is not None else picture)
    picture.info = {}  # otherwise the upload's colour profile and comments would be saved with the picture
    return Decoded(picture, found)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    """The orientation that the EXIF declares; 1, upright, where there is none or it is junk."""
    with suppress(Exception):
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1


def _channel_bits(data: bytes, layout: TiffLayout | None) -> int:
    """The bits of a channel in the file of a PNG or TIFF, 8 for other formats."""
    if layout:
        return layout.bits
    return data[PNG_DEPTH_AT] if data.startswith(PNG_SIGNATURE) else 8


def _wide_values(
    image: Image.Image, data: bytes, layout: TiffLayout | None, max_pixels: int, declared: int | None
) -> npt.NDArray[np.uint16] | None:
    """The values of a picture with more than 8 bits a channel, (H, W) or (H, W, 3).

    None where the 8 bits that Pillow decoded are right: there are no more, or the colours use all 16.
    """
    if image.mode.startswith("I;16") or image.mode == "I":
        return _sixteen_bit(np.asarray(image))
    if image.mode == "F":
        raise UnusableImage("floating-point values; send 8 or 16 bits a channel")
    if _channel_bits(data, layout) <= 8 or image.mode == "CMYK":
        return None
    high = np.asarray(image)
    colours = high[..., :3]
    if colours.max() > (declared or HALF_RANGE) >> 8:
        return None
    if image.mode not in ("RGB", "RGBA") or (image.mode == "RGBA" and high[..., 3].min() < high[..., 3].max()):
        raise UnusableImage(
            "its values use few of their 16 bits, and are not scaled where there is transparency; send 8 bits a channel"
        )
    if layout:
        return _sixteen_bit(read_values(data, max_pixels)[..., :3])
    low = _low_bytes(data, image.mode)[..., :3]
    return (colours.astype(np.uint16) * 256 + low).astype(np.uint16)


def _low_bytes(png: bytes, mode: str) -> npt.NDArray[np.uint8]:
    """The less significant bytes of the colours of a PNG, of which Pillow only decodes the others."""
    with Image.open(io.BytesIO(png)) as image:
        # The raw mode of the other byte order picks the other byte.
        image.tile = [tile._replace(args=f"{mode};16L") for tile in image.tile]
        return np.asarray(image)


def _sixteen_bit(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    if values.dtype.kind == "f":
        raise UnusableImage("floating-point values; send 8 or 16 bits a channel")
    if values.min() < 0:
        raise UnusableImage("negative values; send unsigned values of 8 or 16 bits a channel")
    if values.max() > FULL_RANGE:
        raise UnusableImage("32-bit integer values; send 8 or 16 bits a channel")
    values = values.astype(np.uint16)
    if values.ndim == 2:
        return values
    if values.shape[2] in (2, 4) and values[..., -1].min() < values[..., -1].max():
        raise UnusableImage("transparency in channels of 16 bits that are not interleaved; send 8 bits a channel")
    return values[..., 0] if values.shape[2] == 2 else values[..., :3]


def _gray_or_colour(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA") and _is_flat(image.getchannel("A")):
        image = image.convert(image.mode[:-1])
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.new("RGBA", layers.size, (0, 0, 0, 255))
        image.alpha_composite(layers)
    if image.mode in ("1", "L"):
        return image.convert("L")
    return _gray_where_equal(image.convert("RGB"))


def _is_flat(channel: Image.Image) -> bool:
    low, high = channel.getextrema()
    return low == high


def _gray_where_equal(image: Image.Image) -> Image.Image:
    """The picture in mode L where its three channels are equal, else as it is."""
    red, green, blue = image.split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else image
