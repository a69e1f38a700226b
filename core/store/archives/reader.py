"""Recognises the kind of an archive by its first bytes, and checks the name of every member."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from flawsmith.core.store.archives.members import MAX_PATH_LENGTH, Bounds, Member, NotAnArchive
from flawsmith.core.store.archives.tar_reader import is_tar, read_tar
from flawsmith.core.store.archives.zip_reader import read_zip

_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP_SIGNATURE = b"\x1f\x8b"
_NESTED_SIGNATURES = (b"PK\x03\x04", _GZIP_SIGNATURE, b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")
_NESTED_SUFFIXES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"}
_NESTED_REFUSAL = "an archive within the archive is not opened"


def read_archive(path: Path, bounds: Bounds) -> Iterator[Member]:
    """Yields the files of an archive in their order; folders are passed over.

    Raises:
        NotAnArchive, BrokenArchive, ArchiveTooLarge: before the first file or after any of them.
    """
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(_ZIP_SIGNATURES):
        members = read_zip(path, bounds)
    elif start.startswith(_GZIP_SIGNATURE):
        members = read_tar(path, bounds, packed=True)
    elif is_tar(start):
        members = read_tar(path, bounds, packed=False)
    else:
        raise NotAnArchive("the archive is neither zip, tar nor tar.gz; send one of these, or single 'images'")
    seen: set[str] = set()
    for member in members:
        yield _checked(member, seen)


def _checked(member: Member, seen: set[str]) -> Member:
    """The member under its normalised path, refused where its name or content is not acceptable."""
    path = str(PurePosixPath(member.path.replace("\\", "/")))  # some Windows packers write backslashes
    refusal = member.refusal or _refusal_of_name(path)
    if refusal is None and path in seen:
        refusal = "a second file of this name"
    if refusal is None and member.data is not None and member.data.startswith(_NESTED_SIGNATURES):
        refusal = _NESTED_REFUSAL
    seen.add(path)
    return Member(path, None if refusal else member.data, refusal)


def _refusal_of_name(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    if len(name) >= MAX_PATH_LENGTH:
        return f"its path is too long; use fewer than {MAX_PATH_LENGTH:,} characters"
    if ".." in parts or name.startswith("/") or name[1:2] == ":":
        return "its path leads out of the archive; use plain relative paths with '/'"
    if PurePosixPath(name).suffix.lower() in _NESTED_SUFFIXES:
        return _NESTED_REFUSAL
    return None
