"""The archive of an export, made of its parts: a manifest, the files that list all images, then images and labels."""

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import dropwhile, islice, takewhile
from pathlib import Path
from typing import Any

from flawsmith.core.domain.digital_source_type import term_url
from flawsmith.core.store.export_files import HeldAddresses
from flawsmith.worker.exports.layouts.layout import MANIFEST, LayoutWriter, Row, Rows, shown
from flawsmith.worker.exports.parts import Parts
from flawsmith.worker.exports.zip_files import add_file, add_pieces, open_archive

FILES_IN_A_STEP = 500
HASHED_IN_A_STEP = 2**20  # bytes
_LIST = b' "images": ['  # the line before those of the images, one each


@dataclass
class Contents:
    """What an archive holds.

    Attributes:
        types, splits: how many images of each defect type, and in each split.
        defects: how many labelled defects of each type.
        held: the addresses of its images.
        size: in bytes.
        sha256: of the file.
    """

    types: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    defects: Counter[str] = field(default_factory=Counter)
    held: HeldAddresses = field(default_factory=HeldAddresses)
    size: int = 0
    sha256: str = ""


def write_archive(path: Path, parts: Parts, writer: LayoutWriter, about: dict[str, Any]) -> Iterator[Contents]:
    """Writes the archive in steps of about a second; the last one yields what it holds.

    Memory holds the names of its files, and one part's largest file.

    Args:
        path: of the archive.
        parts: all of the job.
        writer: of its layout.
        about: what the manifest says of the export beside its images.

    Raises:
        DamagedPart: a part cannot be read.
    """
    contents = Contents()
    with open_archive(path) as archive:
        add_pieces(archive, MANIFEST, _manifest(parts.rows, writer, about, contents))
        yield contents
        for name, pieces in writer.listed(parts.rows):
            add_pieces(archive, name, pieces)
            yield contents
        for number, (name, content) in enumerate(parts.files()):
            add_file(archive, name, content)
            if number % FILES_IN_A_STEP == FILES_IN_A_STEP - 1:
                yield contents
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(HASHED_IN_A_STEP):
            digest.update(piece)
            yield contents
    contents.size, contents.sha256 = path.stat().st_size, digest.hexdigest()
    yield contents


def manifest_head(archive: zipfile.ZipFile) -> dict[str, Any]:
    """What the manifest of such an archive says beside its images. Raises KeyError, zipfile.BadZipFile."""
    with archive.open(MANIFEST) as file:
        lines = list(takewhile(lambda line: not line.startswith(_LIST), file))
    head: dict[str, Any] = json.loads(b"".join(lines).rstrip().removesuffix(b",") + b"}")
    return head


def manifest_rows(archive: zipfile.ZipFile) -> Iterator[Row]:
    """What the manifest of such an archive says of its images, one after the other; it is never read as a whole."""
    with archive.open(MANIFEST) as file:
        for line in islice(dropwhile(lambda line: not line.startswith(_LIST), file), 1, None):
            if line.startswith(b"  {"):
                yield json.loads(line.rstrip().removesuffix(b","))


def _manifest(rows: Rows, writer: LayoutWriter, about: dict[str, Any], contents: Contents) -> Iterator[bytes]:
    """The manifest in pieces; counts the images as they pass."""
    head = {
        "synthetic": True,
        "digital_source_type": term_url(writer.source_type),
        "software": "Flawsmith",
        **about,
        **writer.summary(rows),
    }
    yield json.dumps(head, indent=1)[:-2].encode() + b",\n" + _LIST
    for number, row in enumerate(rows()):
        _count(row, contents)
        yield (b",\n  " if number else b"\n  ") + json.dumps(shown(row)).encode()
    yield b"\n ]\n}\n"


def _count(row: Row, contents: Contents) -> None:
    contents.types[row["defect_type"]] += 1
    contents.defects.update(each["defect_type"] for each in row.get("defects", ()))
    if "split" in row:
        contents.splits[row["split"]] += 1
    for version, defect_type, seed in row["_held"]:
        contents.held.add(version, defect_type, seed)
