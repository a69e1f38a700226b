"""The files of an archive, the bounds on what an archive may cost, and the errors of reading one."""

import unicodedata
from dataclasses import dataclass

CHUNK_BYTES = 64 * 1024  # read at once
MAX_EXPANSION = 100  # an entry may unpack to this many times its packed size …
MIN_EXPANSION_BYTES = 32 * 1024 * 1024  # … or to this many bytes, whichever is more
MAX_PATH_LENGTH = 1024  # characters


class NotAnArchive(Exception):
    """The file is neither zip, tar nor tar.gz."""


class BrokenArchive(Exception):
    """The archive is damaged or was cut short."""


class ArchiveTooLarge(Exception):
    """The archive has too many entries, or unpacks to too many bytes."""


@dataclass(frozen=True)
class Member:
    """One file of an archive: its data, or the reason why there is none. ``path`` is printable."""

    path: str
    data: bytes | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class Bounds:
    """What an archive may cost: its entries, the bytes of all files together, the bytes of one file."""

    entries: int
    unpacked_bytes: int
    file_bytes: int


class Budget:
    """Counts the bytes that an archive has unpacked to. It counts real bytes and trusts no size in a header."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds, self.bytes = bounds, 0

    def spend(self, count: int) -> None:
        """Raises ArchiveTooLarge once the archive has unpacked to more than it may."""
        self.bytes += count
        if self.bytes > self.bounds.unpacked_bytes:
            raise ArchiveTooLarge(f"the archive unpacks to more than {self.bounds.unpacked_bytes:,} bytes")


def too_many_entries(bounds: Bounds) -> ArchiveTooLarge:
    """The error for an archive with more entries than it may have."""
    return ArchiveTooLarge(f"the archive has more than {bounds.entries:,} entries")


def expansion_limit(packed_bytes: int) -> int:
    """The most bytes that packed data of this size may unpack to. More is taken for a decompression bomb."""
    return max(MIN_EXPANSION_BYTES, MAX_EXPANSION * packed_bytes)


def printable(name: str) -> str:
    """The name in a form that can be shown and stored: NFC, no surrogates, no control characters, bounded length."""
    whole = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in whole)[:MAX_PATH_LENGTH]
