"""What a label file says of one defect: a box, and maybe its outline."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Outline:
    """The outline of a defect: ``polygons`` of x, y, x, y …, ``runs`` as COCO counts them, or a ``picture``.

    Runs go down the columns of a picture of the ``size``, the unmarked ones first: a list of lengths, or that list in
    COCO's compressed text. A picture is a file in which all but black is the defect; its left upper pixel is at the
    ``corner``, as labelme has it.
    """

    polygons: tuple[tuple[float, ...], ...] = ()
    runs: tuple[int, ...] | str = ()
    size: Size | None = None  # of the picture that the runs are counted in
    picture: bytes = b""
    corner: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Box:
    """A rectangle around a defect, in pixels, or as shares of the photograph's sides where ``relative``."""

    x: float
    y: float
    width: float
    height: float
    defect_type: str
    relative: bool = False
    outline: Outline | None = None  # in the same unit
    source: str = field(default="", compare=False)  # the label file
    unreadable: bool = False  # it only says that the photograph is labelled


def in_pixels(box: Box, size: Size) -> Box | None:
    """The box in pixels of a photograph of this size, cut off at its edges; None if nothing is left."""
    scale_x, scale_y = size if box.relative else (1, 1)
    left, right = (min(max(0.0, x * scale_x), size[0]) for x in (box.x, box.x + box.width))
    top, bottom = (min(max(0.0, y * scale_y), size[1]) for y in (box.y, box.y + box.height))
    if right <= left or bottom <= top:
        return None
    outline = box.outline
    if outline and box.relative:
        scaled = [tuple(v * (scale_y if i % 2 else scale_x) for i, v in enumerate(each)) for each in outline.polygons]
        outline = replace(outline, polygons=tuple(scaled))
    return Box(left, top, right - left, bottom - top, box.defect_type, outline=outline, source=box.source)


def is_cut_off(box: Box, cut: Box, size: Size) -> bool:
    """Whether `in_pixels` cut more than a pixel off a box; less is how somebody rounded."""
    scale_x, scale_y = size if box.relative else (1, 1)
    return box.width * scale_x - cut.width > 1 or box.height * scale_y - cut.height > 1


def around(points: list[tuple[float, float]], defect_type: str, *, relative: bool = False, filled: bool = True) -> Box:
    """The rectangle around points of an outline; ``filled`` says that they enclose a defect. Raises ValueError."""
    xs, ys = zip(*points, strict=True)
    outline = Outline(polygons=(tuple(v for point in points for v in point),)) if filled and len(points) > 2 else None
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys), defect_type, relative, outline)


def numbers(values: Any, count: int | None = None) -> list[float]:
    """Raises ValueError or TypeError for anything but ``count`` finite numbers; None: any count of them."""
    found = [float(each) for each in values]
    if (count is not None and len(found) != count) or not all(map(math.isfinite, found)):
        raise ValueError(values)
    return found
