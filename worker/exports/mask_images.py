"""Masks of a record as pictures."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawsmith.worker.exports.records import ExportRecord

MOST_VALUES = 254  # 255 means pixels to ignore (VOC)


def mask_image(record: ExportRecord) -> Image.Image:
    """Where any defect is: 0 or 255."""
    return Image.fromarray(_drawn(record, [255] * len(record.defects)))


def instance_image(record: ExportRecord) -> Image.Image:
    """Which defect is where: 1 for the first one, 2 for the second …, 0 for none, with VOC's colours."""
    return _coloured(_drawn(record, list(range(1, len(record.defects) + 1))))


def type_image(record: ExportRecord, classes: list[str]) -> Image.Image:
    """Which type of defect is where: 1 for the first one of ``classes`` …, 0 for none, with VOC's colours."""
    return _coloured(_drawn(record, [classes.index(each.defect_type) + 1 for each in record.defects]))


def mask_text(record: ExportRecord) -> dict[str, str]:
    """The text chunks of a record's masks."""
    address = {name.replace("_", "-").title(): value for name, value in record.address_texts.items()}
    return {"Synthetic": "true", "Software": "Flawsmith", **address}


def _drawn(record: ExportRecord, values: list[int]) -> NDArray[np.uint8]:
    """(H, W), each defect in its value; a later one over an earlier one. Raises ValueError for too high a value."""
    if values and max(values) > MOST_VALUES and set(values) != {255}:
        raise ValueError(f"{max(values)} defects or types; a mask's picture can tell {MOST_VALUES} apart")
    width, height = record.size
    picture = np.zeros((height, width), np.uint8)
    for defect, value in zip(record.defects, values, strict=True):
        if defect.marked is not None:
            left, top, right, bottom = defect.box
            picture[top:bottom, left:right][defect.marked] = value
    return picture


def _coloured(values: NDArray[np.uint8]) -> Image.Image:
    height, width = values.shape
    picture = Image.frombytes("P", (width, height), values.tobytes())
    picture.putpalette(_PALETTE)
    return picture


def _voc_palette() -> list[int]:
    """The colours of the VOC development kit: the bits of a value, spread over red, green and blue."""
    colours = []
    for value in range(256):
        red = green = blue = 0
        for place in range(8):
            bits = value >> (3 * place)
            red |= (bits & 1) << (7 - place)
            green |= (bits >> 1 & 1) << (7 - place)
            blue |= (bits >> 2 & 1) << (7 - place)
        colours += [red, green, blue]
    return colours


_PALETTE = _voc_palette()
