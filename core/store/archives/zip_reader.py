"""Reads zip archives. Format: PKWARE APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from flawsmith.core.store.archives.members import (
    CHUNK_BYTES,
    MAX_EXPANSION,
    ArchiveTooLarge,
    Bounds,
    BrokenArchive,
    Budget,
    Member,
    expansion_limit,
    printable,
    too_many_entries,
)
from flawsmith.core.store.archives.names import encoding_of, is_utf_8

MAX_DIRECTORY_ENTRY_BYTES = 512  # of an entry in the central directory, on average
TAIL_BYTES = 66 * 1024  # the end record with the longest comment is smaller
_ENTRY_SIGNATURE, _ENTRY_BYTES = b"PK\x01\x02", 46  # an entry of the central directory, APPNOTE 4.3.12
_ENTRY_LENGTHS_AT = 28  # of its name, its extra field and its comment, which follow it
_ENCRYPTED, _UTF_8 = 0x1, 0x800  # bits of the general purpose flags, APPNOTE 4.4.4
_UNICODE_PATH, _FIELD = 0x7075, struct.Struct("<HH")  # an extra field is its kind and length, then its data
_FILE_TYPE_MASK, _REGULAR_FILE = 0o170000, 0o100000  # of a Unix mode; 0: the packer did not say


def read_zip(path: Path, bounds: Bounds) -> Iterator[Member]:
    """Yields the files of a zip.

    Raises:
        BrokenArchive, ArchiveTooLarge: before the first file or after any of them.
    """
    try:
        with BoundedDirectory(path, bounds) as file, zipfile.ZipFile(file) as archive:
            file.opened()
            budget = Budget(bounds)
            entries = archive.infolist()
            encoding = encoding_of(packed for info in entries if not is_utf_8(packed := _packed_name(info)))
            for info in entries:
                name = _name(info, encoding)
                if not name.endswith(("/", "\\")):  # is_dir() fails where there is no name at all
                    yield _member(archive, info, name, budget)
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise BrokenArchive(f"the zip is damaged or was cut short: {error}; pack and send it again") from None


class BoundedDirectory(io.BufferedReader):
    """A zip file whose central directory is bounded.

    `zipfile.ZipFile` reads the whole directory at once when it opens an archive, and makes an object of each entry.
    Here the read itself is checked, so that the check cannot disagree with `zipfile` about where the directory is.
    """

    def __init__(self, path: Path, bounds: Bounds) -> None:
        super().__init__(io.FileIO(path))
        self._bounds, self._opening = bounds, True

    def opened(self) -> None:
        """Ends the checks: from now on the files are read, in small chunks."""
        self._opening = False

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Raises BadZipFile for a place before the file, where the sizes in a damaged directory may lead."""
        if whence == io.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("a part of it would begin before the file")
        return super().seek(offset, whence)

    def read(self, size: int | None = -1, /) -> bytes:
        """Raises ArchiveTooLarge for a directory that is too large or has too many entries."""
        most = max(TAIL_BYTES, self._bounds.entries * MAX_DIRECTORY_ENTRY_BYTES)
        if self._opening and size is not None and size > most:
            raise too_many_entries(self._bounds)
        data = super().read(size)
        if self._opening and data.startswith(_ENTRY_SIGNATURE) and _entries(data) > self._bounds.entries:
            raise too_many_entries(self._bounds)
        return data


def _entries(directory: bytes) -> int:
    """The number of entries in a central directory."""
    position = count = 0
    while position + _ENTRY_BYTES <= len(directory):
        position += _ENTRY_BYTES + sum(struct.unpack_from("<3H", directory, position + _ENTRY_LENGTHS_AT))
        count += 1
    return count


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, budget: Budget) -> Member:
    name = printable(path)
    if info.flag_bits & _ENCRYPTED:
        return Member(name, refusal="it is encrypted; send it without a password")
    if (info.external_attr >> 16) & _FILE_TYPE_MASK not in (0, _REGULAR_FILE):
        return Member(name, refusal="it is a link or a device, not a file")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # `zipfile` bounds the output of one read of deflate, but not that of bzip2 and LZMA.
        return Member(name, refusal="it is packed in a way that is not read here; use deflate")
    return _unpacked(archive, info, name, budget)


def _packed_name(info: zipfile.ZipInfo) -> bytes:
    """The bytes of the entry's name in the archive; `zipfile` reads those without the UTF-8 flag as code page 437."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF_8 else "cp437")


def _name(info: zipfile.ZipInfo, encoding: str) -> str:
    """The entry's name.

    macOS and other packers write UTF-8 without the flag. Others write the code page of their Windows, and some of them
    add the name in UTF-8 in an extra field.
    """
    packed = _packed_name(info)
    if info.flag_bits & _UTF_8:
        return info.orig_filename
    added = _name_in_extra_field(info.extra, packed)
    return added or packed.decode("utf-8" if is_utf_8(packed) else encoding, "replace")


def _name_in_extra_field(extra: bytes, packed: bytes) -> str | None:
    """The name in the Info-ZIP Unicode Path field (APPNOTE 4.6.9), None where it is missing or of an older name."""
    while len(extra) >= _FIELD.size:
        kind, length = _FIELD.unpack_from(extra)
        data, extra = extra[_FIELD.size : _FIELD.size + length], extra[_FIELD.size + length :]
        if kind == _UNICODE_PATH and data[:5] == b"\x01" + struct.pack("<I", zlib.crc32(packed)):
            return data[5:].decode("utf-8", "replace")
    return None


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, budget: Budget) -> Member:
    most, limit = expansion_limit(info.compress_size), budget.bounds.file_bytes
    data = bytearray()
    try:
        with archive.open(info) as file:
            while chunk := file.read(CHUNK_BYTES):
                budget.spend(len(chunk))
                data += chunk
                if len(data) > most:
                    raise ArchiveTooLarge(f"'{name}' unpacks to more than {MAX_EXPANSION} times its size; a bomb")
                if len(data) > limit:
                    return Member(name, refusal=f"larger than {limit:,} bytes")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        return Member(name, refusal=f"it is damaged in the archive: {error}")
    except (NotImplementedError, RuntimeError):
        return Member(name, refusal="it is packed in a way that is not read here; use deflate")
    return Member(name, bytes(data))
