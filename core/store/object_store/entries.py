"""What an object of the tree says of a file or a published folder: an entry.

Every place has at most one object, ``tree/PLACE``, and an entry is replaced as a whole. So a folder of many files
appears and disappears in one step. Small files are in the entry; others lie in blobs, ``blobs/ENTRY/NUMBER``, which are
written before the entry, never change, and have a name that no other publication uses. Many small files share a blob.

An entry that a claim publishes is *pending* until the claim's own object has its id; until then the place shows what
was there ``before``. A pending entry, and one that is ``gone``, has an odd number of bytes, others an even one: so a
listing tells which entries must be read.
"""

import hashlib
import secrets
import time
from typing import Self

from pydantic import BaseModel, ConfigDict

FORMAT = 1  # count it up where an earlier release could not read the result
INLINE_BYTES = 128 * 1024  # of a file that is in its entry


class LaterFormat(ValueError):
    """A later release wrote the entry."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")


class Blob(_Part):
    """An object with the content of files."""

    size: int
    sha256: str


class StoredFile(_Part):
    """A file: in ``data``, or in a blob from ``offset`` on."""

    size: int
    sha256: str
    data: bytes | None = None
    blob: str | None = None
    offset: int = 0

    @classmethod
    def inline(cls, data: bytes) -> Self:
        """A file that is in its entry."""
        return cls(size=len(data), sha256=hashlib.sha256(data).hexdigest(), data=data)


class Pending(_Part):
    """Which claim publishes the entry: the key of its object, and its token."""

    claim: str
    token: str


class Entry(_Part):
    """What is at a place.

    Attributes:
        id: no other entry has it.
        at: when it was made, Unix time.
        folder: whether it is a folder; a file's only name in ``files`` is empty.
        files: by their names inside the folder, such as ``images/000000.png``.
        blobs: by their keys.
        shared: whether other entries in the same folder may use its blobs, or it theirs.
        pending: set while the claim has not said that it is published.
        before: of a pending entry, what is shown until then.
        gone: nothing is there; a claim was lost before it published anything.
    """

    format: int = FORMAT
    id: str
    at: float
    folder: bool = False
    files: dict[str, StoredFile] = {}
    blobs: dict[str, Blob] = {}
    shared: bool = False
    pending: Pending | None = None
    before: "Entry | None" = None
    gone: bool = False

    def to_bytes(self) -> bytes:
        """The content of the object."""
        data = self.model_dump_json(exclude_defaults=True).encode()
        odd = self.pending is not None or self.gone
        return data if len(data) % 2 == odd else data + b"\n"

    @classmethod
    def of_bytes(cls, data: bytes) -> "Entry":
        """Raises ValueError for what is no entry, LaterFormat."""
        found = cls.model_validate_json(data)
        if found.format > FORMAT:
            raise LaterFormat(f"an entry has format {found.format}, and this release reads up to {FORMAT}")
        return found

    @property
    def settled(self) -> "Entry":
        """The entry as it is once it is published."""
        return self.model_copy(update={"pending": None, "before": None})

    def changed(self, **update: object) -> "Entry":
        """Another entry, with these fields changed."""
        return self.model_copy(update={"id": new_id(), **update})


def new_entry(files: dict[str, StoredFile], blobs: dict[str, Blob], *, folder: bool, entry_id: str = "") -> Entry:
    """An entry made now."""
    return Entry(id=entry_id or new_id(), at=time.time(), folder=folder, files=files, blobs=blobs)


def new_id() -> str:
    """Names an entry, and the blobs that are made with it."""
    return secrets.token_hex(16)


def with_file(before: Entry | None, name: str, file: Entry | None, place: str) -> Entry:
    """The entry of a published folder with a file replaced, or removed. Raises FileNotFoundError."""
    if before is None:
        raise FileNotFoundError(f"there is no {place} in the artifact store any more")
    files = {each: stored for each, stored in before.files.items() if each != name}
    blobs = dict(before.blobs)
    if file:
        files[name], blobs = file.files[""], blobs | file.blobs
    used = {stored.blob for stored in files.values()}
    return before.changed(files=files, blobs={key: blob for key, blob in blobs.items() if key in used})
