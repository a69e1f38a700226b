"""Reading zip, tar and tar.gz of strangers, entry by entry, without ever unpacking them onto the disk.

Nothing of an archive touches the disk, so its names and links can lead nowhere. No size in a header is believed: the
bytes that really come are counted.
"""

import gzip
import lzma
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

RATIO_LIMIT = 100  # an entry may unpack to so many times its packed size …
RATIO_FLOOR = 32 * 1024 * 1024  # … or to so many bytes, whichever is more
CHUNK = 64 * 1024  # bytes
LONGEST_DIRECTORY_ENTRY = 512  # bytes, on average, of an entry in a zip's central directory
_ARCHIVE_SUFFIXES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"}
_ARCHIVE_STARTS = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")


class NotAnArchive(Exception):
    """Neither zip, tar nor tar.gz."""


class BrokenArchive(Exception):
    """An archive that is damaged or was cut in the middle."""


class ArchiveTooLarge(Exception):
    """Too many entries, or too many bytes once unpacked."""


@dataclass(frozen=True)
class Member:
    """A file of an archive: its data, or why there is none to be had. ``path`` is printable."""

    path: str
    data: bytes | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class Bounds:
    """What an archive may cost: entries, bytes of all files together, bytes of one file."""

    entries: int
    unpacked_bytes: int
    file_bytes: int


def read_archive(path: Path, bounds: Bounds) -> Iterator[Member]:
    """The files of an archive, one after another; folders are passed over.

    Raises:
        NotAnArchive, BrokenArchive, ArchiveTooLarge: at the first entry or at any later one.
    """
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        members = _read_zip(path, bounds)
    elif start.startswith(b"\x1f\x8b"):
        members = _read_tar(path, bounds, packed=True)
    elif len(start) == 512 and start[257:262] == b"ustar":
        members = _read_tar(path, bounds, packed=False)
    else:
        raise NotAnArchive("the archive is neither zip, tar nor tar.gz; send one of these, or single 'images'")
    seen: set[str] = set()
    for member in members:
        yield _checked(member, seen)


def _checked(member: Member, seen: set[str]) -> Member:
    """The member, or its refusal for what its name says."""
    refusal = member.refusal or _refusal_of_name(member.path)
    if refusal is None and member.path in seen:
        refusal = "a second file of this name"
    if refusal is None and member.data is not None and member.data.startswith(_ARCHIVE_STARTS):
        refusal = "an archive within the archive is not opened"
    seen.add(member.path)
    return Member(member.path, refusal=refusal) if refusal else member


def _refusal_of_name(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/") or "\\" in name or name[1:2] == ":":
        return "its path leads out of the archive; use plain relative paths with '/'"
    if PurePosixPath(name).suffix.lower() in _ARCHIVE_SUFFIXES:
        return "an archive within the archive is not opened"
    return None


def printable(name: str) -> str:
    """A name as it can be shown and stored: NFC, no lone surrogates or control characters, 255 characters at most."""
    whole = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in whole)[:255]


class _Budget:
    """Counts what an archive has unpacked to so far."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds, self.bytes = bounds, 0

    def spend(self, count: int) -> None:
        self.bytes += count
        if self.bytes > self.bounds.unpacked_bytes:
            raise ArchiveTooLarge(f"the archive unpacks to more than {self.bounds.unpacked_bytes:,} bytes")

    def too_many(self) -> ArchiveTooLarge:
        return ArchiveTooLarge(f"the archive has more than {self.bounds.entries:,} entries")


def _read_zip(path: Path, bounds: Bounds) -> Iterator[Member]:
    try:
        if _directory_too_large(path, bounds):
            raise _Budget(bounds).too_many()
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > bounds.entries:
                raise _Budget(bounds).too_many()
            yield from _zip_members(archive, _Budget(bounds))
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise BrokenArchive(f"the zip is damaged or was cut short: {error}; pack and send it again") from None


def _directory_too_large(path: Path, bounds: Bounds) -> bool:
    """Whether the central directory, which `zipfile` reads at once, has too many entries or is itself too large."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # as ZipFile finds it, zip64 included
    if not end:
        raise zipfile.BadZipFile("its central directory is missing")
    entries, size = end[4], end[5]
    return bool(entries > bounds.entries or size > bounds.entries * LONGEST_DIRECTORY_ENTRY)


def _zip_members(archive: zipfile.ZipFile, budget: _Budget) -> Iterator[Member]:
    for info in archive.infolist():
        name = printable(info.orig_filename)
        if info.is_dir():
            continue
        if info.flag_bits & 0x1:
            yield Member(name, refusal="it is encrypted; send it without a password")
        elif (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
            yield Member(name, refusal="it is a link or a device, not a file")
        else:
            yield _zip_file(archive, info, name, budget)


def _zip_file(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, budget: _Budget) -> Member:
    limit = budget.bounds.file_bytes
    try:
        with archive.open(info) as file:
            data = file.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        return Member(name, refusal=f"it is damaged in the archive: {error}")
    except (NotImplementedError, RuntimeError):
        return Member(name, refusal="it is packed in a way that is not read here; use deflate")
    budget.spend(len(data))
    if len(data) > max(RATIO_FLOOR, RATIO_LIMIT * info.compress_size):
        raise ArchiveTooLarge(f"'{name}' unpacks to more than {RATIO_LIMIT} times its size; that is no photograph")
    if len(data) > limit:
        return Member(name, refusal=f"larger than {limit:,} bytes")
    return Member(name, data)


class _Unpacked:
    """A tar's bytes as they come out of gzip: counted, and never many at once, whatever a header asks for."""

    def __init__(self, source: IO[bytes], budget: _Budget, packed_bytes: int) -> None:
        self.source, self.budget, self.packed_bytes, self.highest = source, budget, packed_bytes, 0

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= self.budget.bounds.file_bytes + CHUNK:
            raise tarfile.ReadError("a header claims too much")
        data = self.source.read(count)
        self._count()
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        if position > self.budget.bounds.unpacked_bytes:
            self.budget.spend(position)
        reached = self.source.seek(position, whence)
        self._count()
        return reached

    def tell(self) -> int:
        return self.source.tell()

    def _count(self) -> None:
        position = self.source.tell()
        self.budget.spend(max(0, position - self.highest))
        self.highest = max(self.highest, position)
        if self.highest > max(RATIO_FLOOR, RATIO_LIMIT * self.packed_bytes):
            raise ArchiveTooLarge(f"the archive unpacks to more than {RATIO_LIMIT} times its size; that is a bomb")


def _read_tar(path: Path, bounds: Bounds, *, packed: bool) -> Iterator[Member]:
    try:
        with _open_tar(
            path, bounds, packed
        ) as archive:  # once to its end, so that nothing is begun that cannot be finished
            for count, _ in enumerate(archive, 1):
                archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
                if count > bounds.entries:
                    raise _Budget(bounds).too_many()
        with _open_tar(path, bounds, packed) as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]
                if not info.isdir():
                    yield _tar_file(archive, info, bounds)
    except (
        tarfile.TarError,
        gzip.BadGzipFile,
        EOFError,
        zlib.error,
        struct.error,
        ValueError,
        OSError,
    ) as error:
        raise BrokenArchive(f"the tar is damaged or was cut short: {error}; pack and send it again") from None


@contextmanager
def _open_tar(path: Path, bounds: Bounds, packed: bool) -> Iterator[tarfile.TarFile]:
    with gzip.open(path) if packed else path.open("rb") as source:
        if packed and source.read(512)[257:262] != b"ustar":
            raise NotAnArchive("the gzip file holds no tar; send zip, tar or tar.gz")
        source.seek(0)
        stream = _Unpacked(source, _Budget(bounds), path.stat().st_size)  # type: ignore[arg-type]
        with tarfile.open(fileobj=stream, mode="r:", errorlevel=1) as archive:  # type: ignore[call-overload]
            yield archive
            stream.seek(archive.offset)
            if len(stream.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:  # a whole tar ends with blocks of zeros
                raise tarfile.ReadError("its end is missing")
        while stream.read(CHUNK):  # what follows the last entry; gzip checks its sum at the end
            pass


def _tar_file(archive: tarfile.TarFile, info: tarfile.TarInfo, bounds: Bounds) -> Member:
    name = printable(info.name)
    if info.issparse() or not info.isreg():
        return Member(name, refusal="it is a link, a device or a sparse file, not a plain file")
    if info.size > bounds.file_bytes:
        return Member(name, refusal=f"larger than {bounds.file_bytes:,} bytes")
    file = archive.extractfile(info)
    return Member(name, file.read() if file else b"")
