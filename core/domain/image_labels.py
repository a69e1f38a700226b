"""Labels of generated images: the places of the defect that a version's label network finds in them."""

import json
from typing import NamedTuple

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first column and row outside."""

LABELLED_MARK = b"&"  # begins a payload of a labelled image; a PNG begins with 0x89


class ImageLabels(NamedTuple):
    """The labels of one image.

    Attributes:
        boxes: around each part of the defect; at least one.
        plausible: whether size and shape are as those of the real ones.
        mask: a PNG, 0 or 255; empty for versions with boxes only.
    """

    boxes: tuple[Box, ...]
    plausible: bool
    mask: bytes = b""


def pack(png: bytes, labels: ImageLabels) -> bytes:
    """An image with its labels as one payload, which begins with `LABELLED_MARK`."""
    head = json.dumps({"png": len(png), "boxes": labels.boxes, "plausible": labels.plausible}).encode()
    return LABELLED_MARK + len(head).to_bytes(4, "big") + head + png + labels.mask


def unpack(payload: bytes) -> tuple[bytes, ImageLabels]:
    """What `pack` joined."""
    begin = len(LABELLED_MARK) + 4
    end = begin + int.from_bytes(payload[len(LABELLED_MARK) : begin], "big")
    head = json.loads(payload[begin:end])
    boxes: list[Box] = [(left, top, right, bottom) for left, top, right, bottom in head["boxes"]]
    png, mask = payload[end : end + head["png"]], payload[end + head["png"] :]
    return png, ImageLabels(tuple(boxes), head["plausible"], mask)
