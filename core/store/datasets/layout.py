"""What the name of a file in an archive says: whether it is housekeeping or a document; valid names of types."""

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
    ".toml", ".ini", ".log", ".doc", ".docx", ".xls", ".xlsx", ".py", ".mat", ".npy", ".names",
}  # fmt: skip
_ABOUT_THE_SET = ("readme", "license", "licence", "copying", "notice", "changelog", "citation", "authors")


class InvalidType(Exception):
    """A name cannot be a defect type; the message says what would be right."""


def is_passed_over(path: str) -> bool:
    """Whether a file is what a desktop leaves behind, or a document about the whole set."""
    parts = PurePosixPath(path).parts
    name = parts[-1].lower() if parts else ""
    return (
        not _HOUSEKEEPING_FOLDERS.isdisjoint(part.lower() for part in parts[:-1])
        or name in _HOUSEKEEPING_NAMES
        or (name.startswith(".") and name != "..")
        or (is_document(path) and name.startswith(_ABOUT_THE_SET))
    )


def is_document(path: str) -> bool:
    """Whether a file is plainly no picture. It may hold labels."""
    return PurePosixPath(path).suffix.lower() in _DOCUMENT_SUFFIXES


def valid_type(name: str) -> str:
    """The name of a defect type, normalised.

    Raises:
        InvalidType: the name cannot be a defect type.
    """
    name = re.sub(r"\s+", " ", unicodedata.normalize("NFC", name)).strip()
    if not name or len(name) > MAX_TYPE_LENGTH or name.startswith(".") or not name.isprintable():
        raise InvalidType(
            f"the name of its folder or label cannot be a defect type: give 1 to {MAX_TYPE_LENGTH} printable "
            "characters, no leading dot"
        )
    return name
