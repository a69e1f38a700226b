"""Reading zip, tar and tar.gz of strangers, entry by entry, without ever unpacking them onto the disk.

Nothing of an archive touches the disk, so its names and links can lead nowhere. No size in a header is believed: the
bytes that really come are counted.
"""

import gzip
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

RATIO_LIMIT = 100  # an entry may unpack to so many times its packed size …
RATIO_FLOOR = 32 * 1024 * 1024  # … or to so many bytes, whichever is more
CHUNK = 64 * 1024  # bytes
LONGEST_EXTENSION = 64 * 1024  # bytes of a tar header that is about the next one
LONGEST_PATH = 1024  # characters
LONGEST_DIRECTORY_ENTRY = 512  # bytes, on average, of an entry in a zip's central directory
_ARCHIVE_SUFFIXES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"}
_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
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
    """What an archive may cost: entries, bytes of all files pipeline, bytes of one file."""

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
    path = str(PurePosixPath(member.path))
    refusal = member.refusal or _refusal_of_name(path)
    if refusal is None and path in seen:
        refusal = "a second file of this name"
    if refusal is None and member.data is not None and member.data.startswith(_ARCHIVE_STARTS):
        refusal = "an archive within the archive is not opened"
    seen.add(path)
    return Member(path, None if refusal else member.data, refusal)


def _refusal_of_name(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    if len(name) >= LONGEST_PATH:
        return f"its path is too long; use fewer than {LONGEST_PATH:,} characters"
    if ".." in parts or name.startswith("/") or "\\" in name or name[1:2] == ":":
        return "its path leads out of the archive; use plain relative paths with '/'"
    if PurePosixPath(name).suffix.lower() in _ARCHIVE_SUFFIXES:
        return "an archive within the archive is not opened"
    return None


def printable(name: str) -> str:
    """A name as it can be shown and stored: NFC, no lone surrogates or control characters, and not endless."""
    whole = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in whole)[:LONGEST_PATH]


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
        name = printable(_zip_name(info))
        if info.orig_filename.endswith("/"):  # is_dir() fails where there is no name at all
            continue
        if info.flag_bits & 0x1:
            yield Member(name, refusal="it is encrypted; send it without a password")
        elif (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
            yield Member(name, refusal="it is a link or a device, not a file")
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # `zipfile` bounds what one read of deflate may unpack to; of bzip2 and LZMA it does not.
            yield Member(name, refusal="it is packed in a way that is not read here; use deflate")
        else:
            yield _zip_file(archive, info, name, budget)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Many writers, macOS among them, put UTF-8 and do not say so; `zipfile` then reads code page 437."""
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            return info.orig_filename.encode("cp437").decode("utf-8")
    return info.orig_filename


def _zip_file(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, budget: _Budget) -> Member:
    limit = budget.bounds.file_bytes
    most = max(RATIO_FLOOR, RATIO_LIMIT * info.compress_size)
    data = bytearray()
    try:
        with archive.open(info) as file:
            while chunk := file.read(CHUNK):
                budget.spend(len(chunk))
                data += chunk
                if len(data) > most:
                    raise ArchiveTooLarge(f"'{name}' unpacks to more than {RATIO_LIMIT} times its size; a bomb")
                if len(data) > limit:
                    return Member(name, refusal=f"larger than {limit:,} bytes")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        return Member(name, refusal=f"it is damaged in the archive: {error}")
    except (NotImplementedError, RuntimeError):
        return Member(name, refusal="it is packed in a way that is not read here; use deflate")
    return Member(name, bytes(data))


class _Unpacked:
    """A tar's bytes as they come out of gzip, forwards only, each one counted."""

    def __init__(self, source: IO[bytes], budget: _Budget, packed_bytes: int) -> None:
        self.source, self.budget, self.most = source, budget, max(RATIO_FLOOR, RATIO_LIMIT * packed_bytes)

    def take(self, count: int) -> bytes:
        """The next so many bytes; fewer only where the archive is at its end. No more is held than has come."""
        taken = bytearray()
        while len(taken) < count and (chunk := self.source.read(min(CHUNK, count - len(taken)))):
            self.budget.spend(len(chunk))
            if self.budget.bytes > self.most:
                raise ArchiveTooLarge(f"the archive unpacks to more than {RATIO_LIMIT} times its size; that is a bomb")
            taken += chunk
        return bytes(taken)

    def blocks(self, count: int) -> bytes:
        """A tar pads what it holds to whole blocks: the next ``count`` bytes, and past their padding."""
        data = self.take(count)
        if len(data) + len(self.take(-count % tarfile.BLOCKSIZE)) < count + -count % tarfile.BLOCKSIZE:
            raise tarfile.ReadError("unexpected end of data")
        return data

    def skip_blocks(self, count: int) -> None:
        for start in range(0, count, CHUNK):
            self.blocks(min(CHUNK, count - start))

    def skip_rest(self) -> None:
        """To the end, where gzip checks its sum."""
        while self.take(CHUNK):
            pass


def _read_tar(path: Path, bounds: Bounds, *, packed: bool) -> Iterator[Member]:
    try:
        for _ in _tar_members(path, bounds, packed):
            pass  # once to its end, so that nothing is begun that cannot be finished
        yield from _tar_members(path, bounds, packed)
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OSError) as error:
        raise BrokenArchive(f"the tar is damaged or was cut short: {error}; pack and send it again") from None


def _tar_members(path: Path, bounds: Bounds, packed: bool) -> Iterator[Member]:
    """Reads header by header. `tarfile.TarFile` would take a damaged header for the archive's end, read an extended
    one of any size into memory, search it in quadratic time and follow a chain of them by recursion."""
    with gzip.open(path) if packed else path.open("rb") as source:
        if packed and source.read(512)[257:262] != b"ustar":
            raise NotAnArchive("the gzip file holds no tar; send zip, tar or tar.gz")
        source.seek(0)
        stream = _Unpacked(source, _Budget(bounds), path.stat().st_size)  # type: ignore[arg-type]
        extension: dict[str, bytes] = {}
        entries = 0
        while (info := _header(stream)) is not None:
            if info.type in _EXTENSIONS:
                extension |= _extension(stream, info)
                continue
            entries += 1
            if entries > bounds.entries:
                raise stream.budget.too_many()
            _extend(info, extension)
            if not info.isdir():
                yield _tar_file(stream, info, bounds, sparse="sparse" in extension)
            extension = {}
        stream.skip_rest()


def _header(stream: _Unpacked) -> tarfile.TarInfo | None:
    """The next header; None at the block of zeros that ends a tar."""
    block = stream.blocks(tarfile.BLOCKSIZE)
    if not any(block):
        return None
    info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    if info.size < 0:
        raise tarfile.ReadError("a header claims a size that is none")
    more = info.type == tarfile.GNUTYPE_SPARSE and block[482]  # a sparse file's map may need blocks of its own
    while more:
        more = stream.blocks(tarfile.BLOCKSIZE)[504]
    return info


def _extension(stream: _Unpacked, info: tarfile.TarInfo) -> dict[str, bytes]:
    """What a header that is about the next one says: its "path" and "size", and "sparse" where it is that."""
    if info.size > LONGEST_EXTENSION:
        raise tarfile.ReadError(f"an extended header has more than {LONGEST_EXTENSION:,} bytes")
    data = stream.blocks(info.size)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.partition(b"\0")[0]}
    return _pax_records(data) if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE) else {}


def _pax_records(data: bytes) -> dict[str, bytes]:
    """Lines of "LENGTH KEY=VALUE", each as long as it says; what is of no use here is not kept."""
    records = {}
    start = 0
    while start < len(data):
        digits = data[start : start + 8].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = data[start + len(digits) + 1 : start + length - 1].partition(b"=")
        if length <= len(digits) or not equals:
            raise tarfile.ReadError("an extended header is malformed")
        if key in (b"path", b"size"):
            records[key.decode()] = value
        elif key.startswith(b"GNU.sparse."):
            records["sparse"] = b""
        start += length
    return records


def _extend(info: tarfile.TarInfo, extension: dict[str, bytes]) -> None:
    if "path" in extension:
        info.name = extension["path"].decode("utf-8", "replace")
    if "size" in extension:
        if not extension["size"].isdigit() or len(extension["size"]) > 20:
            raise tarfile.ReadError("an extended header claims a size that is none")
        info.size = int(extension["size"])


def _tar_file(stream: _Unpacked, info: tarfile.TarInfo, bounds: Bounds, *, sparse: bool) -> Member:
    name = printable(info.name)
    plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE) and not sparse
    if plain and info.size <= bounds.file_bytes:
        return Member(name, stream.blocks(info.size))
    if info.isreg() or info.type not in tarfile.SUPPORTED_TYPES:
        stream.skip_blocks(info.size)
    if plain:
        return Member(name, refusal=f"larger than {bounds.file_bytes:,} bytes")
    return Member(name, refusal="it is a link, a device or a sparse file, not a plain file")
