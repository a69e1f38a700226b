"""The contact sheet of a dataset."""

from collections.abc import Sequence
from typing import Protocol

from PIL import Image, ImageOps

from flawsmith.core.domain.crops import Around
from flawsmith.core.store.images import contact_sheet

COLUMNS, MAX_ROWS = 12, 24
THUMBNAIL_SIDE = 192  # pixels


class Shown(Protocol):
    """A photograph of a defect type."""

    @property
    def defect_type(self) -> str: ...
    def squares(self, around: Around) -> list[Image.Image]: ...


def preview(photographs: Sequence[Shown], around: Around) -> Image.Image:
    """One row for each defect type with up to `COLUMNS` of the squares that are trained on, evenly picked.

    Args:
        photographs: of all types.
        around: how they are cut into squares.
    """
    by_type: dict[str, list[Shown]] = {}
    for each in photographs:
        by_type.setdefault(each.defect_type, []).append(each)
    rows = {
        name: [_thumbnail(square) for each in _evenly(by_type[name]) for square in each.squares(around)][:COLUMNS]
        for name in sorted(by_type)[:MAX_ROWS]
    }
    return contact_sheet(rows)


def _evenly(photographs: Sequence[Shown]) -> list[Shown]:
    count = min(COLUMNS, len(photographs))
    return [photographs[position * len(photographs) // count] for position in range(count)]


def _thumbnail(picture: Image.Image) -> Image.Image:
    side = min(*picture.size, THUMBNAIL_SIDE)
    return ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)
