"""Decoding what strangers send, within bounds; contact sheets; encoding."""

import io
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
PAPER, INK = 32, 224  # gray levels of a sheet's ground and of its letters

# Every photograph's header is checked against the caller's bound before a pixel is decoded. Pillow's own check only
# warns up to twice its bound, and above that raises before the size can be told.
Image.MAX_IMAGE_PIXELS = None


class UnusableImage(Exception):
    """The bytes are no photograph that can be trained on; the message says why."""


def decode_photograph(data: bytes, *, max_pixels: int, min_side: int) -> Image.Image:
    """A picture of mode L or RGB, 8 bits a channel, turned as its EXIF says.

    Sixteen bits of gray are scaled linearly from 0 … 65535 to 0 … 255. Alpha is laid on black. An RGB picture whose
    channels are the same everywhere is gray. Colour profiles are not applied, and nothing but the pixels is kept.

    Raises:
        UnusableImage: not an image of `FORMATS`, broken, an animation, too small or with too many pixels.
    """
    if not data:
        raise UnusableImage("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_header(image, max_pixels, min_side)
            image.verify()  # a PNG's checksums; load() looks at none of its pixels' own
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            picture = _eight_bit(ImageOps.exif_transpose(image))
    except UnusableImage:
        raise
    except UnidentifiedImageError:
        raise UnusableImage(f"not an image of a kind that is taken ({', '.join(FORMATS)}), or a broken one") from None
    except Exception as error:  # a hostile file can raise anything from a decoder
        raise UnusableImage(f"the image is broken: {str(error)[:100] or type(error).__name__}") from None
    picture.info = {}  # else a stranger's colour profile and comments would be saved with the picture
    return picture


def _check_header(image: Image.Image, max_pixels: int, min_side: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise UnusableImage(f"too many pixels: {width}x{height}; at most {max_pixels:,}")
    if min(width, height) < min_side:
        raise UnusableImage(f"too small: {width}x{height}; each side must have at least {min_side} pixels")
    # Many telephones put a preview or a depth map behind a JPEG (MPO); its first picture is the photograph.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise UnusableImage(f"an animation or a stack of {image.n_frames} pictures; send single photographs")  # type: ignore[attr-defined]


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
    return _gray_if_gray(image.convert("RGB"))


def _gray_if_gray(image: Image.Image) -> Image.Image:
    red, green, blue = image.split()
    same = red.tobytes() == green.tobytes() == blue.tobytes()
    return red if same else image


def encode_png(image: Image.Image, text: Mapping[str, str] | None = None, level: int = 1) -> bytes:
    """A PNG; ``text`` goes into its text chunks. Level 1: a photograph's grain hardly shrinks further."""
    chunks = PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value) if not value.isascii() else chunks.add_text(key, value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level, pnginfo=chunks)
    return buffer.getvalue()


def encode(image: Image.Image, format: Literal["jpeg", "webp"], description: str) -> bytes:
    """A JPEG or WebP of quality 95, at which the grain survives; ``description`` stands in its EXIF."""
    exif = Image.Exif()
    exif[0x010E] = description  # ImageDescription
    buffer = io.BytesIO()
    image.save(buffer, format, quality=95, exif=exif)
    return buffer.getvalue()


def grid(images: Sequence[Image.Image], columns: int, gap: int = 2) -> Image.Image:
    """Pictures of one size and mode side by side, row by row."""
    width, height = images[0].size
    rows = -(-len(images) // columns)
    paper = PAPER if images[0].mode == "L" else (PAPER,) * 3
    size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    sheet = Image.new(images[0].mode, size, paper)
    for index, image in enumerate(images):
        sheet.paste(image, (index % columns * (width + gap), index // columns * (height + gap)))
    return sheet


def contact_sheet(rows: Mapping[str, Sequence[Image.Image]], *, side: int = 96) -> Image.Image:
    """One row a class under its name, each picture fitted into side x side pixels; RGB where any picture is."""
    gap, caption = 4, 20
    mode = "RGB" if any(image.mode == "RGB" for images in rows.values() for image in images) else "L"
    columns = max(len(images) for images in rows.values())
    row_height = caption + side + gap
    paper, ink = ((PAPER,) * 3, (INK,) * 3) if mode == "RGB" else (PAPER, INK)
    font = ImageFont.load_default(14)
    longest_name = ceil(max(font.getlength(name) for name in rows))
    width = 2 * gap + max(longest_name, columns * (side + gap) - gap)
    sheet = Image.new(mode, (width, gap + len(rows) * row_height), paper)
    draw = ImageDraw.Draw(sheet)
    for row, (name, images) in enumerate(rows.items()):
        top = gap + row * row_height
        draw.text((gap, top), name, fill=ink, font=font)
        for column, image in enumerate(images):
            fitted = ImageOps.contain(image.convert(mode), (side, side), Image.Resampling.LANCZOS)
            sheet.paste(fitted, (gap + column * (side + gap), top + caption))
    return sheet
