"""Writes files that survive a power failure: data and folder entries are flushed with fsync."""

import os
from pathlib import Path

from flawsmith.core.store.interface import Place


def write_durably(path: Path, data: bytes) -> None:
    """Writes the file; its bytes are on disk when this returns, its name only after `sync_folder`."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Flushes a file that is already written."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flushes the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def as_path(place: Place) -> Path:
    """The path that a place of a folder store is."""
    if not isinstance(place, Path):
        raise TypeError(f"{place} is a place of another store")
    return place
