"""A version's bundle: one file that moves a version to another site, where its addresses give the same bytes.

It is a zip whose entries are stored as they are, so that none can unpack to more than was sent. ``manifest.json`` comes
first and lists every other entry with its digest.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from flawsmith.core.domain.records import NAME_PATTERN, Record

FORMAT = 1
MANIFEST = "manifest.json"
CARD = "version/card.json"
MOST_FILES = 20_000
MOST_MANIFEST_BYTES = 8 * 1024 * 1024
MOST_TEXT_BYTES = 64 * 1024 * 1024  # of a JSON file or a page
HIGHEST_VERSION = 99_999_999  # the versions that follow it must have numbers too

_NAME = NAME_PATTERN[1:-1]
_FILES = re.compile(
    r"version/[a-z][a-z0-9_-]{0,63}\.(?:json|npz|safetensors)"
    r"|results/(?:(?:withdrawn|quality-floor|remarks|report/report)\.json|report/report\.html|image-scores\.npz)"
    rf"|results/(?:evaluations|overrides)/{_NAME}\.json"
)


class BundledFile(Record):
    """One entry of a bundle."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(Record):
    """What a bundle holds.

    Attributes:
        kind: tells a bundle from other zips.
        format: of the bundle; a release reads its own and earlier ones.
        release: of Flawsmith, that made it.
        version: such as ``steel@2``.
        files: by their names, such as ``version/generator.safetensors``.
    """

    kind: Literal["flawsmith-version"] = "flawsmith-version"
    format: Annotated[int, Field(ge=1)] = FORMAT
    release: str
    version: str
    files: dict[str, BundledFile]


class CannotImport(Exception):
    """A file is no bundle that can be imported; the message says why, and what would be right."""


class NumberTaken(Exception):
    """Another version has, or had, the number of the one that is imported."""


def is_bundled(name: str) -> bool:
    """Whether a bundle may have a file of this name; no such name leads out of its folder."""
    return _FILES.fullmatch(name) is not None
