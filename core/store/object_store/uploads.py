"""Writes the blobs of an entry that is not there yet, so that no blob stays behind where its publisher is killed."""

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from flawsmith.core.store.artifacts import AlreadyPublished
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.interface import StoreAway
from flawsmith.core.store.object_store.bucket import Bucket
from flawsmith.core.store.object_store.entries import INLINE_BYTES, Blob, Entry, StoredFile, new_entry, new_id
from flawsmith.core.store.object_store.tree import Tree

PACK_BYTES = 16 * 2**20  # of the small files that share a blob
LARGE_BYTES = 2**20  # a file from here on has a blob of its own
ABANDONED_SECONDS = 6 * 3600
_AT_ONCE = 4
_Files = dict[str, StoredFile]
_Blobs = dict[str, Blob]


class Uploads:
    """Uploads under way: each has an object ``uploads/ENTRY`` until its entry is published.

    Whoever sweeps removes that object first and looks for the entry then; a publisher publishes first and looks for the
    object then. So an upload that is swept while its publisher was suspended is never taken for whole.
    """

    def __init__(self, bucket: Bucket, tree: Tree) -> None:
        self.bucket, self.tree = bucket, tree

    @contextmanager
    def noted(self, entry: Entry, place: str, undo: Callable[[], object]) -> Iterator[None]:
        """The block uploads the entry's blobs and publishes it. After another error a sweep finds out whether it did.

        Args:
            entry: whose blobs are uploaded.
            place: of the entry that will name them.
            undo: takes back the publication.

        Raises:
            StoreAway: others swept the blobs meanwhile.
        """
        note = f"uploads/{entry.id}"
        self.bucket.overwrite(note, json.dumps({"place": place}).encode())
        try:
            yield
        except (AlreadyPublished, ClaimLost):
            self._remove(entry.id)
            raise
        if not self.bucket.has(note):
            undo()
            raise StoreAway("the upload took so long that it was taken for abandoned; try again")
        self.bucket.delete([note])

    def bytes(self, data: bytes) -> tuple[Entry, bytes]:
        """The entry of a file, and what of it is yet to be written into its blob."""
        if len(data) <= INLINE_BYTES:
            return new_entry({"": StoredFile.inline(data)}, {}, folder=False), b""
        entry_id = new_id()
        digest = hashlib.sha256(data).hexdigest()
        key = f"blobs/{entry_id}/0"
        file = StoredFile(size=len(data), sha256=digest, blob=key)
        blobs = {key: Blob(size=len(data), sha256=digest)}
        return new_entry({"": file}, blobs, folder=False, entry_id=entry_id), data

    def file(self, path: Path) -> Entry:
        """The entry of a local file, which is its blob."""
        entry_id = new_id()
        stored, blob = _whole(path, f"blobs/{entry_id}/0")
        return new_entry({"": stored}, {str(stored.blob): blob}, folder=False, entry_id=entry_id)

    def folder(self, staged: Path, entry_id: str, like: Entry | None) -> Entry:
        """Uploads the files of a local folder; returns its entry. Those that ``like`` has are not sent again."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload") as pool:
            writer = _FolderWriter(self.bucket, pool, entry_id)
            for path in sorted(each for each in staged.rglob("*") if each.is_file()):
                writer.add(path.relative_to(staged).as_posix(), path, like)
            writer.close()
        entry = new_entry(writer.files, writer.blobs, folder=True, entry_id=entry_id)
        return entry.model_copy(update={"shared": writer.shares})

    def sweep(self) -> None:
        """Removes the blobs of uploads whose publisher was killed."""
        for each in list(self.bucket.listing("uploads")):
            if each.changed_at < time.time() - ABANDONED_SECONDS:
                self._sweep_one(each.key)

    def _sweep_one(self, note: str) -> None:
        entry_id, found = note.partition("/")[2], self.bucket.get(note)
        if found is None or found.data is None:
            return
        place = str(json.loads(found.data)["place"])
        entry = self.tree.version(place).entry
        if entry and _names(entry, entry_id) and self.tree.is_under_way(entry):
            return
        self.bucket.delete([note])
        if not _names(self.tree.shown(self.tree.version(place).entry), entry_id):
            self._remove(entry_id)

    def _remove(self, entry_id: str) -> None:
        """Removes what was uploaded for an entry that is not published."""
        self.bucket.delete([each.key for each in self.bucket.listing(f"blobs/{entry_id}")])
        self.bucket.delete([f"uploads/{entry_id}"])


def _names(entry: Entry | None, entry_id: str) -> bool:
    """Whether an entry names blobs that were uploaded with this id."""
    return entry is not None and any(key.startswith(f"blobs/{entry_id}/") for key in entry.blobs)


class _FolderWriter:
    """Sends the files of a folder in blobs, several at a time."""

    def __init__(self, bucket: Bucket, pool: ThreadPoolExecutor, entry_id: str) -> None:
        self.bucket, self.pool, self.entry_id = bucket, pool, entry_id
        self.files: _Files = {}
        self.blobs: _Blobs = {}
        self.shares = False
        self._pack, self._names, self._count = io.BytesIO(), list[tuple[str, StoredFile]](), 0
        self._sent = [pool.submit(lambda: None)]

    def add(self, name: str, path: Path, like: Entry | None) -> None:
        """Adds a file."""
        known = known_file(path, name, like)
        if like and known and known.blob:
            self.files[name], self.blobs[known.blob] = known, like.blobs[known.blob]
            self.shares = True
        elif path.stat().st_size >= LARGE_BYTES:
            stored, blob = _whole(path, self._key())
            self.files[name] = stored
            self._send(str(stored.blob), blob, path)
        else:
            self._add_small(name, path.read_bytes())

    def _add_small(self, name: str, data: bytes) -> None:
        stored = StoredFile.inline(data)
        if name.endswith(".json") and "/" not in name and len(data) <= INLINE_BYTES:
            self.files[name] = stored  # it is what listings read
            return
        self._names.append((name, stored.model_copy(update={"data": None, "offset": self._pack.tell()})))
        self._pack.write(data)
        if self._pack.tell() >= PACK_BYTES:
            self._send_pack()

    def close(self) -> None:
        """Sends the rest, and waits. Raises what a request raised."""
        if self._names:
            self._send_pack()
        for each in self._sent:
            each.result()

    def _send_pack(self) -> None:
        data, key = self._pack.getvalue(), self._key()
        for name, stored in self._names:
            self.files[name] = stored.model_copy(update={"blob": key})
        self._pack, self._names = io.BytesIO(), []
        self._send(key, Blob(size=len(data), sha256=hashlib.sha256(data).hexdigest()), data)

    def _send(self, key: str, blob: Blob, content: "bytes | Path") -> None:
        self.blobs[key] = blob
        waiting = [each for each in self._sent if not each.done()]
        if len(waiting) >= _AT_ONCE:  # what waits to be sent is in memory
            waiting[0].result()
        self._sent.append(self.pool.submit(self.bucket.overwrite, key, content))

    def _key(self) -> str:
        self._count += 1
        return f"blobs/{self.entry_id}/{self._count - 1}"


def _whole(path: Path, key: str) -> tuple[StoredFile, Blob]:
    """A file that is all of a blob."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    return StoredFile(size=size, sha256=digest, blob=key), Blob(size=size, sha256=digest)


def known_file(path: Path, name: str, like: Entry | None) -> StoredFile | None:
    """The file of that name in an entry, if it is in a blob and has the same content as a local file."""
    stored = like.files.get(name) if like else None
    if stored is None or stored.blob is None or path.stat().st_size != stored.size:
        return None
    with path.open("rb") as file:
        return stored if hashlib.file_digest(file, "sha256").hexdigest() == stored.sha256 else None
