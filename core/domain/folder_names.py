"""Folder names for defect types that every file system takes, for archives that are unpacked anywhere."""

import unicodedata
from collections.abc import Iterable

from pathvalidate import sanitize_filename

MAX_LENGTH = 100  # characters
_DEVICES = ("CONIN$", "CONOUT$")  # of Windows, which pathvalidate does not know


def folder_names(types: Iterable[str], reserved: Iterable[str] = ()) -> dict[str, str]:
    """A folder name for each defect type: the type itself, unless some system could not create or tell apart it.

    Windows knows no ``C:``, ``CON`` or ``a?``, and takes ``Pits`` and ``pits`` for one folder, as macOS does with two
    Unicode forms of ``ä``. A type whose name is taken gets a number: ``pits-2``.

    Args:
        types: all types of a model, always in the same order, so that a type has the same folder in every archive.
        reserved: names of other files beside the folders.
    """
    taken = {_folded(name) for name in reserved}
    names: dict[str, str] = {}
    for defect_type in types:
        safe = _safe(defect_type)
        name, number = safe, 1
        while _folded(name) in taken:
            number += 1
            name = f"{safe}-{number}"
        taken.add(_folded(name))
        names[defect_type] = name
    return names


def _safe(name: str) -> str:
    """The name with every character replaced that Windows, macOS or Linux refuse."""
    plain = "".join(each if each.isprintable() else "_" for each in name).replace(" .", "_.")  # "aux .txt" is AUX
    safe = sanitize_filename(plain, platform="universal", replacement_text="_", max_len=MAX_LENGTH)
    if safe.upper() in _DEVICES or not safe.strip(". "):
        return safe.strip(". ") + "_"
    return safe


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
