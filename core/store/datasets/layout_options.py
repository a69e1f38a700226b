"""What a caller may say about the layout of an upload, and what is answered where it cannot be told."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from flawsmith.core.store.datasets.label_files import LABEL_KINDS

FOLDER_KINDS = ("imagefolder", "flat")
MASK_KINDS = ("mvtec", "visa", "kolektor", "dagm", "pairs")
KINDS = (*FOLDER_KINDS, *MASK_KINDS, *LABEL_KINDS)
TYPE_SOURCES = ("folder", "parent", "label", "mask", "dataset")
NO_FOLDER = "none"  # said of `clean`: no folder holds clean photographs


class CannotTell(Exception):
    """The upload can be read in several ways, or not as the caller says.

    ``field`` is the form field that decides; ``candidates`` are the ways, each with what would be found.
    """

    def __init__(self, field: str, detail: str, candidates: Collection[Mapping[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.field, self.candidates = field, [dict(each) for each in candidates]


@dataclass(frozen=True)
class LayoutOptions:
    """What a caller says of the layout; None where the files are to tell.

    Attributes:
        layout: one of `KINDS`. Those of `FOLDER_KINDS` have neither masks nor labels; those of `MASK_KINDS` have no
            label files; of the others only their own label files are read.
        class_from: one of `TYPE_SOURCES`: what names the defect type of a photograph.
        clean: the folders whose photographs are clean; no others are then, and none of them for `NO_FOLDER`.
    """

    layout: str | None = None
    class_from: str | None = None
    clean: tuple[str, ...] | None = None

    @classmethod
    def parsed(cls, layout: str | None, class_from: str | None, clean: str | None) -> "LayoutOptions":
        """The options of form fields. Raises CannotTell for values that are none of those above."""
        for name, value, known in (("layout", layout, KINDS), ("class_from", class_from, TYPE_SOURCES)):
            if value and value not in known:
                raise CannotTell(name, f"there is no {name} '{value[:40]}'; choose one of: {', '.join(known)}")
        folders = tuple(filter(None, (each.strip() for each in clean.split(",")))) if clean else None
        return cls(layout or None, class_from or None, folders)


AS_THE_FILES_SAY = LayoutOptions()
