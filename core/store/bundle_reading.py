"""Reads a version's bundle that somebody sent: nothing in it is believed before it was checked."""

import hashlib
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.version_bundle import (
    CARD,
    FORMAT,
    MANIFEST,
    MOST_FILES,
    MOST_MANIFEST_BYTES,
    CannotImport,
    Manifest,
    is_bundled,
)
from flawsmith.core.store.archives import ArchiveTooLarge, Bounds, NotAnArchive, printable
from flawsmith.core.store.archives.zip_reader import BoundedDirectory
from flawsmith.core.store.bundle_checks import check_files, read_card

_PIECE = 1 << 20
_ENCRYPTED = 0x1  # bit of the general purpose flags, APPNOTE 4.4.4
_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError, RuntimeError)
AGAIN = "download the bundle again from GET /models/NAME/versions/NUMBER/bundle and send it unchanged"


@dataclass(frozen=True)
class UnpackedBundle:
    """A bundle whose files are in a folder, each as its manifest says.

    Attributes:
        card: of the version.
        version: folder of the version's files.
        results: folder of its results; it may be empty.
        manifest: of the bundle.
    """

    card: ModelVersion
    version: Path
    results: Path
    manifest: Manifest


def unpack_bundle(path: Path, folder: Path) -> UnpackedBundle:
    """Unpacks a bundle into an empty folder and checks every file.

    Raises:
        NotAnArchive: it is no zip.
        ArchiveTooLarge: it has too many entries.
        CannotImport: it is no bundle, of a later format, cut short or changed; the message says which.
        OSError: the folder cannot be written.
    """
    with path.open("rb") as file:
        if not file.read(4).startswith(_SIGNATURES):
            raise NotAnArchive("this is no bundle of a version, which is a zip; " + AGAIN)
    try:
        with BoundedDirectory(path, Bounds(MOST_FILES, 0, 0)) as file, zipfile.ZipFile(file) as archive:
            file.opened()
            manifest = _manifest(archive, path.stat().st_size)
            for info in archive.infolist():
                if info.filename != MANIFEST:
                    _unpack(archive, info, manifest, folder)
    except ArchiveTooLarge:
        raise
    except _DAMAGED as error:
        raise CannotImport(f"the bundle is damaged or was cut short ({printable(str(error))}); {AGAIN}") from None
    (folder / "version").mkdir(exist_ok=True)
    (folder / "results").mkdir(exist_ok=True)
    card = read_card(folder / CARD, manifest)
    check_files(card, folder)
    return UnpackedBundle(card, folder / "version", folder / "results", manifest)


def _manifest(archive: zipfile.ZipFile, size: int) -> Manifest:
    """The manifest, which lists exactly the other entries of an archive of so many bytes. Raises CannotImport."""
    entries = archive.infolist()
    names = [each.filename for each in entries]
    if MANIFEST not in names:
        raise CannotImport(
            f"the zip has no {MANIFEST}, so it is no bundle of a version, or one that was cut short; {AGAIN}"
        )
    for each in entries:
        _check_entry(each)
    if sum(each.file_size for each in entries) > size:
        raise CannotImport(f"entries of the zip overlap, which those of a bundle do not; {AGAIN}")
    info = archive.getinfo(MANIFEST)
    if info.file_size > MOST_MANIFEST_BYTES:
        raise CannotImport(f"{MANIFEST} has more than {MOST_MANIFEST_BYTES} bytes, which no bundle has")
    content = archive.read(info)
    try:
        found = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise CannotImport(f"{MANIFEST} is not that of a bundle ({_first(error)}); {AGAIN}") from None
    if found.format > FORMAT:
        raise CannotImport(
            f"the bundle is of format {found.format}, of release {printable(found.release)[:50]}; this release reads "
            f"formats up to {FORMAT}: update this service first"
        )
    if bad := next((each for each in [*found.files, *names] if each != MANIFEST and not is_bundled(each)), None):
        raise CannotImport(f"'{printable(bad)[:200]}' is no file of a bundle; {AGAIN}")
    if len(set(names)) < len(names) or {*found.files, MANIFEST} != {*names}:
        odd = sorted({*found.files, MANIFEST} ^ {*names}) or sorted(each for each in names if names.count(each) > 1)
        raise CannotImport(f"'{odd[0]}' must stand once in the zip and once in {MANIFEST}; {AGAIN}")
    return found


def _check_entry(info: zipfile.ZipInfo) -> None:
    """Raises CannotImport for an entry that is not stored as it is: only such a one is as large as what was sent."""
    if info.flag_bits & _ENCRYPTED or info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        name = printable(info.filename)[:200]
        raise CannotImport(f"'{name}' is compressed or encrypted in the zip, which no entry of a bundle is; {AGAIN}")


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, manifest: Manifest, folder: Path) -> None:
    """Raises CannotImport where the entry is not what the manifest says."""
    said, target = manifest.files[info.filename], folder / info.filename
    if info.file_size != said.bytes:
        raise _changed(info.filename)
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("wb") as file:
        if _copied(source, file) != (said.bytes, said.sha256):  # type: ignore[arg-type]
            raise _changed(info.filename)


def _copied(source: BinaryIO, target: BinaryIO) -> tuple[int, str]:
    """Size and SHA-256 of what was copied."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        size += target.write(piece)
        digest.update(piece)
    return size, digest.hexdigest()


def _changed(name: str) -> CannotImport:
    return CannotImport(f"'{name}' is not the file that {MANIFEST} lists: it was changed on the way; {AGAIN}")


def _first(error: ValidationError) -> str:
    each = error.errors(include_url=False, include_input=False)[0]
    return f"{'/'.join(map(str, each['loc']))[:100] or 'JSON'}: {each['msg'][:200]}"
