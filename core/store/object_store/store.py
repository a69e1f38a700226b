"""The artifact store in a bucket of an S3 server.

Below its prefix the bucket has ``tree/`` (an entry for each file and each published folder, see `entries`), ``blobs/``
(their content), ``claims/``, ``locks/`` and ``uploads/``. Nothing is renamed and nothing is listed to find out what is
true: each promise of the store rests on one conditional write of one object.
"""

import json
import logging
import secrets
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from flawsmith.core.logs import OutageLog
from flawsmith.core.store.artifacts import AlreadyPublished, check_parts
from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.interface import Place, Stamp, StoreAway
from flawsmith.core.store.object_store.blob_cache import BlobCache, DamagedBlob
from flawsmith.core.store.object_store.bucket import PART_BYTES, Bucket, Conflict
from flawsmith.core.store.object_store.claims import BucketClaim, make_claim, settle_all
from flawsmith.core.store.object_store.entries import Entry, StoredFile, new_entry, with_file
from flawsmith.core.store.object_store.locks import Lock
from flawsmith.core.store.object_store.places import BucketPlace
from flawsmith.core.store.object_store.tree import FRESH_SECONDS, Tree
from flawsmith.core.store.object_store.uploads import Uploads, known_file
from flawsmith.core.store.staging import staged_folder, sweep_staging

log = logging.getLogger(__name__)

_UNDER_WAY_SECONDS = 10.0  # that another claim's publication at the same place is waited for
_STAMPS = 10_000


class BucketStore:
    """Files and published folders in a bucket; see `Store`.

    Args:
        bucket: that holds them.
        local: a folder of this machine, for what is staged.
        cache: of what was read.
    """

    def __init__(self, bucket: Bucket, local: Path, cache: BlobCache) -> None:
        self.bucket, self.staging, self.cache = bucket, local / "staging", cache
        self.tree = Tree(bucket)
        self.uploads = Uploads(bucket, self.tree)
        self.staged_under: dict[Path, BucketClaim] = {}
        self._outage = OutageLog(log, "write into the bucket")
        self._stamps: dict[str, tuple[float, Stamp | None]] = {}

    def __str__(self) -> str:
        return str(self.bucket)

    def path(self, *parts: str) -> BucketPlace:
        """The place of these parts. Raises OutsideStore for parts that lead elsewhere."""
        check_parts(parts)
        return BucketPlace(self, PurePosixPath(*parts))

    def write_json(self, path: Place, value: Any) -> None:
        """Replaces the file atomically."""
        self.write_bytes(path, json.dumps(value, indent=1).encode())

    def write_bytes(self, path: Place, data: bytes) -> None:
        """Replaces the file atomically."""
        self._write(str(path), *self.uploads.bytes(data))

    def put_file(self, staged: Path, path: Place) -> None:
        """Moves a local file to its place, atomically."""
        self._write(str(path), self.uploads.file(staged), staged)
        staged.unlink()

    def read_json(self, path: Place) -> Any:
        """Raises FileNotFoundError if there is no such file."""
        return json.loads(path.read_bytes())

    def append(self, path: Place, line: bytes) -> None:
        """Adds a file to the folder ``NAME.d`` beside the path; the names of its files are in the order of time."""
        folder = path.with_name(f"{path.name}.d")
        self.write_bytes(folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}", line + b"\n")

    def staged(self) -> AbstractContextManager[Path]:
        """An empty local folder. It is removed at the end."""
        return staged_folder(self.staging)

    def publish(self, staged: Path, destination: Place, like: Place | None = None) -> None:
        """Makes a staged folder visible in one step, under the claim that it was staged under, if any.

        Raises:
            AlreadyPublished: something is published there.
            ClaimLost: the claim was lost.
        """
        place, claim = str(destination), self.staged_under.get(staged)
        if self.tree.entry(place):
            raise AlreadyPublished(place)
        model = self._to_be_shared(str(like), staged) if like is not None else None
        draft = new_entry({}, {}, folder=True)
        with self.uploads.noted(draft, place, lambda: self.tree.remove(place)):
            entry = self.uploads.folder(staged, draft.id, model)
            self._create(place, entry, claim)

    def move(self, place: Place, destination: Place) -> None:
        """Moves a published folder. Raises AlreadyPublished, FileNotFoundError."""
        entry = self.tree.entry(str(place))
        if entry is None:
            raise FileNotFoundError(f"there is no {place} in the artifact store")
        self._create(str(destination), entry.changed(), None)
        self.tree.remove(str(place))

    def claim(self, place: Place) -> BucketClaim:
        """Makes the newest claim on the work whose claims are kept at this place; every earlier one is lost."""
        return make_claim(self, f"claims/{place}")

    @contextmanager
    def locked(self, folder: Place) -> Iterator[None]:
        """Holds an exclusive lock on a folder. A holder that lost it cannot replace what it has read in the block."""
        with Lock(self.bucket, f"locks/{folder}").held(), self.tree.consistent():
            yield

    def delete(self, path: Place) -> None:
        """Removes a folder: first the right of all claims in it, then what it shows, then the content."""
        place = str(path)
        claims = [each.key for each in self.bucket.listing(f"claims/{place}")]
        for key in claims:
            settle_all(self.bucket, self.tree, key)
        self.bucket.delete(claims)
        for each in [place, *self.tree.below(place)]:
            if entry := self.tree.version(each).entry:
                self.tree.remove(each)
                self._free_blobs(entry, each)
                self._free_blobs(entry.before, each)
        locks = f"locks/{place}"
        self.bucket.delete([locks, *(each.key for each in self.bucket.listing(locks))])
        self._stamps.clear()

    def stamp(self, *parts: str) -> Stamp | None:
        """The identities of the entry, or of those in the folder; at most `FRESH_SECONDS` old unless changed here."""
        place, now = "/".join(parts), time.monotonic()
        if (kept := self._stamps.get(place)) and now < kept[0]:
            return kept[1]
        found = self.tree.find(place)
        if found is None:
            identity: Hashable = tuple(self.tree.children(place)[1])
        elif file := found.entry.files.get(found.inner):
            identity = file.sha256
        else:
            identity = found.entry.id if not found.inner else None
        stamp = Stamp(identity, 0) if identity else None
        if len(self._stamps) > _STAMPS:
            self._stamps.clear()
        self._stamps[place] = (now + FRESH_SECONDS, stamp)
        return stamp

    def bytes_below(self, *parts: str) -> int:
        """Bytes of all that is stored below a place. A blob that several entries name counts once."""
        blobs, total = dict[str, int](), 0
        for entry in self.tree.entries_below("/".join(parts)):
            blobs |= {key: blob.size for key, blob in entry.blobs.items()}
            total += sum(len(file.data) for file in entry.files.values() if file.data)
        return total + sum(blobs.values())

    def added_bytes(self, staged: Path, like: Place | None = None) -> int:
        """The bytes that a staged folder adds to the store when it is published with ``like``."""
        model = self.tree.entry(str(like)) if like is not None else None
        files = (path for path in staged.rglob("*") if path.is_file())
        return sum(
            path.stat().st_size for path in files if not known_file(path, path.relative_to(staged).as_posix(), model)
        )

    def sweep(self) -> None:
        """Removes what killed processes left, here and in the bucket. A server that is away is left alone."""
        sweep_staging(self.staging)
        try:
            self.uploads.sweep()
        except StoreAway:
            return

    def writable(self) -> bool:
        """Tries to write an object; returns whether that worked."""
        try:
            self.bucket.probe(secrets.token_bytes(16))
        except OSError as error:
            self._outage.met(error)
            return False
        self._outage.over()
        return True

    def write_under(self, claim: BucketClaim, place: str, content: bytes | Path) -> None:
        """Replaces a file under a claim. Raises ClaimLost."""
        if isinstance(content, Path):
            self._write(place, self.uploads.file(content), content, claim)
        else:
            self._write(place, *self.uploads.bytes(content), claim)

    def remove_file(self, place: str) -> bool:
        """Removes a file, also one of a published folder; returns whether there was one."""
        self._stamps.clear()
        found = self.tree.find(place)
        if found is None or found.inner not in found.entry.files:
            return False
        if found.inner:
            name, at = found.inner, found.place
            before, after = self.tree.replace(at, lambda entry: with_file(entry, name, None, at))
            self._free_blobs(before, at, kept=after)
        else:
            self.tree.remove(place)
            self._free_blobs(found.entry, place)
        return True

    def content(self, entry: Entry, file: StoredFile) -> bytes:
        """The content of a file. Raises DamagedBlob, FileNotFoundError."""
        if file.data is not None or file.blob is None:
            return file.data or b""
        with self.opened(entry, file) as opened:
            opened.seek(file.offset)
            data = opened.read(file.size)
        if len(data) != file.size:
            raise DamagedBlob("an entry in the bucket does not fit its blob")
        return data

    def opened(self, entry: Entry, file: StoredFile) -> BinaryIO:
        """The blob of a file, open. Raises DamagedBlob, FileNotFoundError."""
        key, blob = str(file.blob), entry.blobs[str(file.blob)]

        def parts() -> Iterator[bytes]:
            for start in range(0, blob.size, PART_BYTES):
                yield self.bucket.read(key, start, min(start + PART_BYTES, blob.size))

        return self.cache.open(blob, parts)

    @contextmanager
    def _uploaded(self, entry: Entry, place: str, content: bytes | Path, undo: Callable[[], object]) -> Iterator[None]:
        """Uploads the blob of an entry, and the block publishes it. Nothing to upload is no more than the block."""
        self._stamps.clear()
        if not entry.blobs:
            yield
        else:
            with self.uploads.noted(entry, place, undo):
                self.bucket.overwrite(next(iter(entry.blobs)), content)
                yield
        self._stamps.clear()

    def _write(self, place: str, file: Entry, content: bytes | Path, claim: BucketClaim | None = None) -> None:
        """Replaces a file, also one of a published folder, under a claim or without."""
        found = self.tree.find(place)
        at, name = (found.place, found.inner) if found and found.inner else (place, "")

        def changed(before: Entry | None) -> Entry:
            return with_file(before, name, file, at) if name else file

        with self._uploaded(file, at, content, lambda: self.remove_file(place)):
            if claim:
                before, after = self._publish_under(claim, at, changed)
            else:
                before, after = self.tree.replace(at, changed)
            self._free_blobs(before, at, kept=after)

    def _create(self, place: str, entry: Entry, claim: BucketClaim | None) -> None:
        """Raises AlreadyPublished, ClaimLost."""
        self._stamps.clear()
        if claim:
            self._publish_under(claim, place, lambda _: entry, new=True)
            return
        found, etag = self.tree.version(place)
        if self.tree.shown(found) or (found and self.tree.is_under_way(found)):
            raise AlreadyPublished(place)
        try:
            self.tree.put(place, entry, etag)
        except Conflict:
            raise AlreadyPublished(place) from None

    def _publish_under(
        self, claim: BucketClaim, place: str, change: Callable[[Entry | None], Entry], *, new: bool = False
    ) -> tuple[Entry | None, Entry]:
        """Publishes under a claim what a change makes of the entry of a place; returns the entry before and after.

        Raises ClaimLost; AlreadyPublished if it must be ``new``.
        """
        give_up = time.monotonic() + _UNDER_WAY_SECONDS
        while True:
            found, etag = self.tree.version(place)
            before = self.tree.shown(found)
            others = bool(found and found.pending != claim.pending and self.tree.is_under_way(found))
            if new and (before or others):
                raise AlreadyPublished(place)
            if others:
                if time.monotonic() > give_up:
                    raise StoreAway("another job is publishing at the same place; try again")
                time.sleep(0.05)
                continue
            entry = change(before)
            waiting = entry.model_copy(update={"pending": claim.pending, "before": before})
            try:
                etag = self.tree.put(place, waiting, etag)
            except Conflict:
                continue
            try:
                claim.publish(entry.id, place)
            except ClaimLost:
                self._take_back(place, before, etag)
                raise
            self._stamps.clear()
            return before, entry

    def _take_back(self, place: str, before: Entry | None, etag: str) -> None:
        """Puts what was at a place before a publication that failed; never over that of another."""
        entry = before or new_entry({}, {}, folder=False).model_copy(update={"gone": True})
        try:
            self.tree.put(place, entry, etag)
        except (Conflict, StoreAway):
            return

    def _to_be_shared(self, place: str, staged: Path) -> Entry | None:
        """The entry of a folder whose blobs another one will use as well: it says so before that one is published."""
        entry = self.tree.entry(place)
        if entry is None or not any((staged / name).is_file() for name, file in entry.files.items() if file.blob):
            return None
        if not entry.shared:

            def shared(before: Entry | None) -> Entry:
                if before is None:
                    raise FileNotFoundError(f"there is no {place} in the artifact store any more")
                return before.changed(shared=True)

            self.tree.replace(place, shared)
        return self.tree.entry(place)

    def _free_blobs(self, entry: Entry | None, place: str, kept: Entry | None = None) -> None:
        """Removes the blobs of an entry that is not at its place any more, except those that others use."""
        if entry is None or not entry.blobs:
            return
        used = set(kept.blobs) if kept else set()
        if entry.shared:
            folder = place.rpartition("/")[0]
            for name, _ in self.tree.children(folder)[1]:
                other = self.tree.entry(f"{folder}/{name}")
                used |= set(other.blobs) if other else set()
        self.bucket.delete([key for key in entry.blobs if key not in used])
