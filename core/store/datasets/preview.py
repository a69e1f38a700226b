"""The contact sheet of a dataset."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from flawsmith.core.store.images import contact_sheet

COLUMNS, MAX_ROWS = 12, 24
THUMBNAIL_SIDE = 192  # pixels


def preview(paths: Sequence[Path], defect_types: Sequence[str]) -> Image.Image:
    """One row for each defect type with up to `COLUMNS` of its photographs, evenly picked.

    Args:
        paths: the photographs' files.
        defect_types: the type of each.
    """
    by_type: dict[str, list[Path]] = {}
    for path, defect_type in zip(paths, defect_types, strict=True):
        by_type.setdefault(defect_type, []).append(path)
    rows = {name: [_thumbnail(path) for path in _evenly(by_type[name])] for name in sorted(by_type)[:MAX_ROWS]}
    return contact_sheet(rows)


def _evenly(paths: Sequence[Path]) -> list[Path]:
    count = min(COLUMNS, len(paths))
    return [paths[position * len(paths) // count] for position in range(count)]


def _thumbnail(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        return image.copy()
