"""Zip archives whose bytes follow from their files alone: stored, not compressed, with fixed times and rights.

Python's zipfile writes them. An archive that is served must be a file, so that a client can continue a broken
download (Range); where none is kept, `app.zip_stream` sends one while it is made.
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format can express
_RIGHTS = 0o100644 << 16  # a regular file that everyone may read
_UNIX = 3


def open_archive(target: Path | IO[bytes]) -> zipfile.ZipFile:
    """A new archive, to be closed. Over 4 GB or 65,535 files it is a zip64, which every current reader takes."""
    return zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True)


def add_file(archive: zipfile.ZipFile, path: str, content: bytes) -> None:
    """Adds a file."""
    archive.writestr(_entry(path), content)


def add_pieces(archive: zipfile.ZipFile, path: str, pieces: Iterable[bytes]) -> None:
    """Adds a file whose content comes in pieces."""
    with archive.open(_entry(path), "w", force_zip64=True) as file:
        for piece in pieces:
            file.write(piece)


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _DATE)
    entry.create_system, entry.external_attr = _UNIX, _RIGHTS  # else those of the system that writes it
    return entry
