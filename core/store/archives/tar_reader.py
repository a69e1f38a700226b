"""Reads tar and tar.gz archives header by header. Formats: POSIX.1-2001 pax, GNU tar and Unix v7.

`tarfile.TarFile` is not used to walk an archive. It takes a damaged header for the archive's end, reads an extended
header of any size into memory, searches it in quadratic time and follows a chain of them by recursion.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from flawsmith.core.store.archives.members import (
    CHUNK_BYTES,
    MAX_EXPANSION,
    ArchiveTooLarge,
    Bounds,
    BrokenArchive,
    Budget,
    Member,
    NotAnArchive,
    expansion_limit,
    printable,
    too_many_entries,
)
from flawsmith.core.store.archives.names import encoding_of, is_utf_8

MAX_EXTENDED_HEADER_BYTES = 64 * 1024
MAX_SIZE_DIGITS = 20  # of the size in an extended header
_GNU_SPARSE_MORE_AT, _SPARSE_BLOCK_MORE_AT = 482, 504  # the byte that says whether a sparse map goes on
_EXTENDED_TYPES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_PLAIN_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


def is_tar(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a tar."""
    if len(start) < tarfile.BLOCKSIZE:
        return False
    if start[257:262] == b"ustar":
        return True
    try:  # v7 has no signature, but a name and a checksum
        return bool(tarfile.TarInfo.frombuf(start[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape").name)
    except tarfile.HeaderError:
        return False


def read_tar(path: Path, bounds: Bounds, *, packed: bool) -> Iterator[Member]:
    """Yields the files of a tar, or of a tar.gz if ``packed``.

    The archive is read to its end once before, so that a damaged one is refused before its first file is used.

    Raises:
        NotAnArchive, BrokenArchive, ArchiveTooLarge: before the first file or after any of them.
    """
    try:
        encoding = encoding_of(name for name, _ in _members(path, bounds, packed) if not is_utf_8(name))
        for name, member in _members(path, bounds, packed):
            yield replace(member, path=printable(name.decode("utf-8" if is_utf_8(name) else encoding, "replace")))
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OSError) as error:
        raise BrokenArchive(f"the tar is damaged or was cut short: {error}; pack and send it again") from None


def _members(path: Path, bounds: Bounds, packed: bool) -> Iterator[tuple[bytes, Member]]:
    """The files of a tar, each with the bytes of its name."""
    with gzip.open(path) if packed else path.open("rb") as source:
        if packed and not is_tar(source.read(tarfile.BLOCKSIZE)):
            raise NotAnArchive("the gzip file holds no tar; send zip, tar or tar.gz")
        source.seek(0)
        stream = _TarStream(source, Budget(bounds), path.stat().st_size)
        extension: dict[str, bytes] = {}
        entries = 0
        while (info := _next_header(stream)) is not None:
            if info.type in _EXTENDED_TYPES:
                extension |= _read_extension(stream, info)
                continue
            entries += 1
            if entries > bounds.entries:
                raise too_many_entries(bounds)
            _apply_extension(info, extension)
            if not info.isdir():
                yield _packed_name(info), _member(stream, info, bounds, sparse="sparse" in extension)
            extension = {}
        stream.read_to_end()


class _TarStream:
    """The unpacked bytes of a tar, forwards only. Every byte is counted."""

    def __init__(self, source: gzip.GzipFile | io.BufferedReader, budget: Budget, packed_bytes: int) -> None:
        self.source, self.budget, self.most = source, budget, expansion_limit(packed_bytes)

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer only at the archive's end. Memory grows with what comes, not with count."""
        data = bytearray()
        while len(data) < count and (chunk := self.source.read(min(CHUNK_BYTES, count - len(data)))):
            self.budget.spend(len(chunk))
            if self.budget.bytes > self.most:
                raise ArchiveTooLarge(
                    f"the archive unpacks to more than {MAX_EXPANSION} times its size; that is a bomb"
                )
            data += chunk
        return bytes(data)

    def read_blocks(self, count: int) -> bytes:
        """The next ``count`` bytes; skips their padding to whole blocks. Raises tarfile.ReadError at a cut end."""
        data, padding = self.read(count), -count % tarfile.BLOCKSIZE
        if len(data) + len(self.read(padding)) < count + padding:
            raise tarfile.ReadError("unexpected end of data")
        return data

    def skip_blocks(self, count: int) -> None:
        for start in range(0, count, CHUNK_BYTES):
            self.read_blocks(min(CHUNK_BYTES, count - start))

    def read_to_end(self) -> None:
        """Reads the rest: gzip checks its checksum at the end."""
        while self.read(CHUNK_BYTES):
            pass


def _next_header(stream: _TarStream) -> tarfile.TarInfo | None:
    """The next header; None at the block of zeros that ends a tar."""
    block = stream.read_blocks(tarfile.BLOCKSIZE)
    if not any(block):
        return None
    info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    if info.size < 0:
        raise tarfile.ReadError("a header claims a negative size")
    more = info.type == tarfile.GNUTYPE_SPARSE and block[_GNU_SPARSE_MORE_AT]
    while more:
        more = stream.read_blocks(tarfile.BLOCKSIZE)[_SPARSE_BLOCK_MORE_AT]
    return info


def _read_extension(stream: _TarStream, info: tarfile.TarInfo) -> dict[str, bytes]:
    """Reads a header that describes the next one: its "path" and "size", and "sparse" for a sparse file."""
    if info.size > MAX_EXTENDED_HEADER_BYTES:
        raise tarfile.ReadError(f"an extended header has more than {MAX_EXTENDED_HEADER_BYTES:,} bytes")
    data = stream.read_blocks(info.size)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.partition(b"\0")[0]}
    return _pax_records(data) if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE) else {}


def _pax_records(data: bytes) -> dict[str, bytes]:
    """Parses records of the form "LENGTH KEY=VALUE\\n", where LENGTH counts the whole record; keeps those in use."""
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


def _apply_extension(info: tarfile.TarInfo, extension: dict[str, bytes]) -> None:
    if "path" in extension:
        info.name = extension["path"].decode("utf-8", "surrogateescape")
    if "size" in extension:
        if not extension["size"].isdigit() or len(extension["size"]) > MAX_SIZE_DIGITS:
            raise tarfile.ReadError("an extended header claims a size that is not a number")
        info.size = int(extension["size"])


def _packed_name(info: tarfile.TarInfo) -> bytes:
    return info.name.encode("utf-8", "surrogateescape")


def _member(stream: _TarStream, info: tarfile.TarInfo, bounds: Bounds, *, sparse: bool) -> Member:
    name = ""  # its bytes are decoded when those of all members are known
    plain = info.type in _PLAIN_TYPES and not sparse
    if plain and info.size <= bounds.file_bytes:
        return Member(name, stream.read_blocks(info.size))
    if info.isreg() or info.type not in tarfile.SUPPORTED_TYPES:
        stream.skip_blocks(info.size)
    if plain:
        return Member(name, refusal=f"larger than {bounds.file_bytes:,} bytes")
    return Member(name, refusal="it is a link, a device or a sparse file, not a plain file")
