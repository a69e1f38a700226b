"""Reads uploaded zip, tar and tar.gz archives file by file, without unpacking them onto the disk."""

from flawsmith.core.store.archives.members import (
    ArchiveTooLarge,
    Bounds,
    BrokenArchive,
    Member,
    NotAnArchive,
    printable,
)
from flawsmith.core.store.archives.reader import read_archive

__all__ = ["ArchiveTooLarge", "Bounds", "BrokenArchive", "Member", "NotAnArchive", "printable", "read_archive"]
