"""The archive of an export, made of its parts: a manifest, the files that list all images, then images and labels."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flawsmith.core.domain.digital_source_type import term_url
from flawsmith.core.store.export_files import HeldAddresses
from flawsmith.worker.exports.layouts.layout import MANIFEST, LayoutWriter, Row, Rows, shown
from flawsmith.worker.exports.parts import Parts
from flawsmith.worker.exports.zip_files import add_file, add_pieces, open_archive

FILES_IN_A_STEP = 500
HASHED_IN_A_STEP = 2**20  # bytes


@dataclass
class Contents:
    """What an archive holds.

    Attributes:
        types, splits: how many images of each defect type, and in each split.
        held: the addresses of its images.
        size: in bytes.
        sha256: of the file.
    """

    types: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
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


def _manifest(rows: Rows, writer: LayoutWriter, about: dict[str, Any], contents: Contents) -> Iterator[bytes]:
    """The manifest in pieces; counts the images as they pass."""
    head = {
        "synthetic": True,
        "digital_source_type": term_url(writer.source_type),
        "software": "Flawsmith",
        **about,
        **writer.summary(rows),
    }
    yield json.dumps(head, indent=1)[:-2].encode() + b',\n "images": ['
    for number, row in enumerate(rows()):
        _count(row, contents)
        yield (b",\n  " if number else b"\n  ") + json.dumps(shown(row)).encode()
    yield b"\n ]\n}\n"


def _count(row: Row, contents: Contents) -> None:
    contents.types[row["defect_type"]] += 1
    if "split" in row:
        contents.splits[row["split"]] += 1
    for version, defect_type, seed in row["_held"]:
        contents.held.add(version, defect_type, seed)
