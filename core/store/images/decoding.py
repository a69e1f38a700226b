"""Decodes the pictures that callers upload, within bounds."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")

# `_check_header` compares every picture with the caller's bound before it decodes a pixel. Pillow's own check only
# warns up to twice its bound, and above that raises before the picture's size is known.
Image.MAX_IMAGE_PIXELS = None


class UnusableImage(Exception):
    """The bytes are not a photograph that can be trained on; the message says why."""


def decode_photograph(data: bytes, *, max_pixels: int, min_side: int) -> Image.Image:
    """Decodes a picture to mode L or RGB, 8 bits a channel, oriented as its EXIF says.

    Grays of 16 bits are scaled linearly from 0 … 65535 to 0 … 255. Transparent pixels are laid on black. An RGB
    picture with three equal channels becomes L. Colour profiles are not applied, and all metadata is dropped.

    Raises:
        UnusableImage: not one of `FORMATS`, broken, an animation, too small, or with more than ``max_pixels``.
    """
    if not data:
        raise UnusableImage("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_header(image, max_pixels, min_side)
            image.verify()  # checks the checksums of a PNG's chunks; load() does not
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            picture = _eight_bit(ImageOps.exif_transpose(image))
    except UnusableImage:
        raise
    except UnidentifiedImageError:
        raise UnusableImage(f"not an image of an accepted format ({', '.join(FORMATS)}), or a broken one") from None
    except Exception as error:  # a decoder can raise anything on a hostile file
        raise UnusableImage(f"the image is broken: {str(error)[:100] or type(error).__name__}") from None
    picture.info = {}  # otherwise the upload's colour profile and comments would be saved with the picture
    return picture


def _check_header(image: Image.Image, max_pixels: int, min_side: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise UnusableImage(f"too many pixels: {width}x{height}; at most {max_pixels:,}")
    if min(width, height) < min_side:
        raise UnusableImage(f"too small: {width}x{height}; each side must have at least {min_side} pixels")
    frames = getattr(image, "n_frames", 1)
    # Many telephones append a preview or a depth map to a JPEG (MPO); its first picture is the photograph.
    if image.format != "MPO" and frames > 1:
        raise UnusableImage(f"an animation or a stack of {frames} pictures; send single photographs")


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image, dtype=np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UnusableImage("32-bit integer values; send 8 or 16 bits a channel")
        return Image.fromarray((values / 257.0).round().astype(np.uint8))
    if image.mode == "F":
        raise UnusableImage("floating-point values; send 8 or 16 bits a channel")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.new("RGBA", layers.size, (0, 0, 0, 255))
        image.alpha_composite(layers)
    if image.mode in ("1", "L"):
        return image.convert("L")
    return _gray_where_equal(image.convert("RGB"))


def _gray_where_equal(image: Image.Image) -> Image.Image:
    """The picture in mode L where its three channels are equal, else as it is."""
    red, green, blue = image.split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else image
