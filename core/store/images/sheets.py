"""Lays pictures out on one sheet: plain grids, and contact sheets with a named row for each class."""

from collections.abc import Mapping, Sequence
from math import ceil

from PIL import Image, ImageDraw, ImageOps

from flawsmith.core.store.images.captions import FONT_SIZE, caption

BACKGROUND, TEXT = 32, 224  # gray levels
_GAP, _CAPTION_HEIGHT = 4, FONT_SIZE + 6  # of a contact sheet, in pixels


def grid(images: Sequence[Image.Image], columns: int, gap: int = 2) -> Image.Image:
    """Pictures of one size and mode side by side, row by row, ``gap`` pixels apart."""
    width, height = images[0].size
    rows = -(-len(images) // columns)
    size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    sheet = Image.new(images[0].mode, size, _colour(BACKGROUND, images[0].mode))
    for index, image in enumerate(images):
        sheet.paste(image, (index % columns * (width + gap), index // columns * (height + gap)))
    return sheet


def contact_sheet(rows: Mapping[str, Sequence[Image.Image]], *, side: int = 96) -> Image.Image:
    """One row for each class under its name, each picture fitted into side x side pixels.

    The sheet has mode RGB if any picture has, else L.
    """
    mode = "RGB" if any(image.mode == "RGB" for images in rows.values() for image in images) else "L"
    columns = max(len(images) for images in rows.values())
    row_height = _CAPTION_HEIGHT + side + _GAP
    captions = {name: caption(name) for name in rows}
    longest_name = ceil(max(each.font.getlength(each.text) for each in captions.values()))
    width = 2 * _GAP + max(longest_name, columns * (side + _GAP) - _GAP)
    sheet = Image.new(mode, (width, _GAP + len(rows) * row_height), _colour(BACKGROUND, mode))
    canvas = ImageDraw.Draw(sheet)
    for row, (name, images) in enumerate(rows.items()):
        top = _GAP + row * row_height
        # Each font has its own height; the baselines are in line, and long strokes stay above the pictures.
        baseline = (_GAP, top + FONT_SIZE)
        canvas.text(baseline, captions[name].text, fill=_colour(TEXT, mode), font=captions[name].font, anchor="ls")
        for column, image in enumerate(images):
            fitted = ImageOps.contain(image.convert(mode), (side, side), Image.Resampling.LANCZOS)
            sheet.paste(fitted, (_GAP + column * (side + _GAP), top + _CAPTION_HEIGHT))
    return sheet


def _colour(gray: int, mode: str) -> int | tuple[int, int, int]:
    return gray if mode == "L" else (gray, gray, gray)
