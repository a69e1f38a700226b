"""What the path of a file in an archive says: whether it is meant to be a photograph, and of which defect type."""

import re
import unicodedata
from pathlib import PurePosixPath

MAX_TYPE_LENGTH = 64  # characters
_HOUSEKEEPING_FOLDERS = {  # of desktops, network storage (Synology, QNAP, Windows) and version control
    "__macosx", ".appledouble", ".spotlight-v100", ".trashes", ".fseventsd", "@eadir", "#recycle", "#snapshot",
    "@recycle", "@recently-snapshot", ".@__thumb", "$recycle.bin", "system volume information", "lost+found",
    ".thumbnails", ".picasaoriginals", ".ipynb_checkpoints", ".git", ".svn", ".dvc",
}  # fmt: skip
_HOUSEKEEPING_NAMES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_DOCUMENT_SUFFIXES = {
    ".txt", ".md", ".rst", ".xml", ".json", ".csv", ".tsv", ".html", ".htm", ".pdf", ".yaml", ".yml",
    ".toml", ".ini", ".log", ".doc", ".docx", ".xls", ".xlsx", ".py", ".mat", ".npy",
}  # fmt: skip


class InvalidType(Exception):
    """A folder's name cannot be a defect type; the message says what would be right."""


def is_passed_over(path: str) -> bool:
    """Whether a file is plainly not meant to be a photograph: a document, or what a desktop leaves behind."""
    parts = PurePosixPath(path).parts
    name = parts[-1].lower() if parts else ""
    return (
        not _HOUSEKEEPING_FOLDERS.isdisjoint(part.lower() for part in parts[:-1])
        or name in _HOUSEKEEPING_NAMES
        or (name.startswith(".") and name != "..")
        or PurePosixPath(name).suffix in _DOCUMENT_SUFFIXES
    )


def defect_type_of(path: str, default: str) -> str:
    """The defect type of a file: the name of the folder that holds it, ``default`` at the top of an archive.

    Raises:
        InvalidType: the folder's name cannot be a defect type.
    """
    folders = PurePosixPath(path).parent.parts
    if not folders:
        return default
    name = re.sub(r"\s+", " ", unicodedata.normalize("NFC", folders[-1])).strip()
    if not name or len(name) > MAX_TYPE_LENGTH or name.startswith(".") or not name.isprintable():
        raise InvalidType(
            f"its folder's name cannot be a defect type: give 1 to {MAX_TYPE_LENGTH} printable characters, "
            "no leading dot"
        )
    return name
