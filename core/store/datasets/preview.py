"""The contact sheet of a dataset."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from flawsmith.core.domain.crops import Around, as_crop
from flawsmith.core.store.datasets.annotations import Annotations
from flawsmith.core.store.datasets.native_crops import NativeCrops, View
from flawsmith.core.store.images import contact_sheet
from flawsmith.core.store.interface import Place

COLUMNS, MAX_ROWS = 12, 24
THUMBNAIL_SIDE = 192  # pixels
MAX_OUTLINES = 20  # in one square
OUTLINE = (255, 64, 64)  # red, green and blue

Member = TypeVar("Member")


class Shown(Protocol):
    """A photograph of a defect type."""

    @property
    def defect_type(self) -> str: ...
    @property
    def path(self) -> Place: ...
    @property
    def annotations(self) -> Annotations: ...
    def squares(self, around: Around) -> list[Image.Image]: ...


def preview(photographs: Sequence[Shown], around: Around, resolution: int) -> Image.Image:
    """One row for each defect type with up to `COLUMNS` of the squares that are trained on, evenly picked.

    Squares around annotations have the outlines of the defects.

    Args:
        photographs: of all types.
        around: how they are cut into squares.
        resolution: of a job, whose squares around annotations are shown.
    """
    if around is Around.ANNOTATIONS:
        return contact_sheet(_outlined_rows(photographs, resolution))
    by_type: dict[str, list[Shown]] = {}
    for each in photographs:
        by_type.setdefault(each.defect_type, []).append(each)
    rows = {
        name: [_thumbnail(square) for each in _evenly(by_type[name]) for square in each.squares(around)][:COLUMNS]
        for name in sorted(by_type)[:MAX_ROWS]
    }
    return contact_sheet(rows)


def _outlined_rows(photographs: Sequence[Shown], resolution: int) -> dict[str, list[Image.Image]]:
    """Squares around annotations: of each type the first square of defects that are evenly picked."""
    crops = NativeCrops(as_crop(Around.ANNOTATIONS), resolution, [each.annotations for each in photographs])
    by_type: dict[str, list[tuple[int, View]]] = {}
    for number, photograph in enumerate(photographs):
        first = {each.defect: each for each in reversed(crops.views(number))}
        for index, view in first.items():
            if index is not None:
                by_type.setdefault(photograph.annotations.defects[index].defect_type, []).append((number, view))
    return {
        name: [_outlined(photographs[number], view) for number, view in _evenly(by_type[name])]
        for name in sorted(by_type)[:MAX_ROWS]
    }


def _outlined(photograph: Shown, view: View) -> Image.Image:
    """A square, enlarged, with the edge of the mask, or the box, of every defect in it."""
    with photograph.path.open("rb") as file, Image.open(file) as image:
        square = image.crop(view.corners).convert("RGB")
    factor = max(1, THUMBNAIL_SIDE // view.side)
    large = square.resize((view.side * factor, view.side * factor), Image.Resampling.LANCZOS)
    canvas = ImageDraw.Draw(large)
    shown = [each for each in photograph.annotations.defects if view.shows(each)]
    for defect in shown[:MAX_OUTLINES]:
        mask = view.mask_of(defect)
        if mask is None:
            x, y, width, height = defect.box
            left, top = (x - view.x) * factor, (y - view.y) * factor
            canvas.rectangle((left, top, left + width * factor, top + height * factor), outline=OUTLINE, width=3)
        else:
            inside = Image.fromarray(mask.astype(np.uint8) * 255).resize(large.size)
            canvas.bitmap((0, 0), ImageChops.difference(inside.filter(ImageFilter.MaxFilter(7)), inside), fill=OUTLINE)
    return large


def _evenly(members: Sequence[Member]) -> list[Member]:
    count = min(COLUMNS, len(members))
    return [members[position * len(members) // count] for position in range(count)]


def _thumbnail(picture: Image.Image) -> Image.Image:
    side = min(*picture.size, THUMBNAIL_SIDE)
    return ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)
