"""The entries of a bucket by their places, as they are shown: pending ones only once their claim has published them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from pydantic import BaseModel

from flawsmith.core.store.interface import StoreAway
from flawsmith.core.store.object_store.bucket import Bucket, Conflict
from flawsmith.core.store.object_store.entries import Entry

FRESH_SECONDS = 1.0  # a published folder that was looked at within this time is taken to be there still
_WEIGHT = 100_000  # of all entries that are kept in memory: files, and kilobytes of content
_MOST_PLAIN = 100_000
_TRIES = 100  # at replacing an entry that others replace as well

_read_under_lock: ContextVar[dict[str, str | None] | None] = ContextVar("read_under_lock", default=None)


class ClaimState(BaseModel):
    """The object of the claims on one piece of work: who has the newest, and what was published under it.

    Attributes:
        token: of the newest claim.
        published: the places of entries that are published though they may still look pending, by the entries' ids.
    """

    token: str
    published: dict[str, str] = {}


class Version(NamedTuple):
    """The entry that an object holds, if there is one, and the object's ETag."""

    entry: Entry | None
    etag: str | None


class Holding(NamedTuple):
    """The entry that has a place, where the entry is, and the rest of the place inside it."""

    entry: Entry
    place: str
    inner: str


class Tree:
    """Reads and replaces entries. Places are relative paths."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._kept: OrderedDict[str, tuple[str, Entry]] = OrderedDict()  # by place, with the ETag
        self._weight = 0
        self._fresh: dict[str, float] = {}  # published folders, with the monotonic time of the last look
        self._plain: set[str] = set()  # folders that are not published: no entry has what is in them
        self._lock = threading.Lock()

    def version(self, place: str) -> Version:
        """What the object of a place holds now."""
        with self._lock:
            known = self._kept.get(place)
        found = self.bucket.get(_key(place), known[0] if known else None)
        if (seen := _read_under_lock.get()) is not None:
            seen.setdefault(place, found.etag if found else None)
        if found is None:
            self._forget(place)
            return Version(None, None)
        if found.data is None:
            assert known
            return Version(known[1], found.etag)
        entry = Entry.of_bytes(found.data)
        self._keep(place, found.etag, entry)
        return Version(entry, found.etag)

    def shown(self, entry: Entry | None) -> Entry | None:
        """The entry that readers see where an object holds this one."""
        if entry is None or entry.gone:
            return None
        if entry.pending is None:
            return entry
        found = self.bucket.get(entry.pending.claim)
        state = ClaimState.model_validate_json(found.data) if found and found.data else None
        return entry.settled if state and entry.id in state.published else entry.before

    def is_under_way(self, entry: Entry) -> bool:
        """Whether a claim that still holds is about to publish a pending entry."""
        if entry.pending is None:
            return False
        found = self.bucket.get(entry.pending.claim)
        state = ClaimState.model_validate_json(found.data) if found and found.data else None
        return state is not None and state.token == entry.pending.token and entry.id not in state.published

    def entry(self, place: str) -> Entry | None:
        """The entry at a place, if there is one."""
        now = time.monotonic()
        with self._lock:
            known = self._kept.get(place)
            fresh = now < self._fresh.get(place, 0) and _read_under_lock.get() is None
        if known and fresh:
            return known[1]
        raw = self.version(place).entry
        found = self.shown(raw)
        if found:
            self._note(place, until=now + FRESH_SECONDS if found is raw and found.folder else 0.0)
        return found

    def find(self, place: str) -> Holding | None:
        """The entry of a place itself, or of the published folder that it is in."""
        names = place.split("/")
        above = ["/".join(names[:depth]) for depth in range(1, len(names))]
        for each in above:
            if each in self._fresh and (entry := self.entry(each)) and entry.folder:
                return Holding(entry, each, place[len(each) + 1 :])
        if entry := self.entry(place):
            return Holding(entry, place, "")
        for each in reversed(above):
            if each in self._plain:
                break
            if (entry := self.entry(each)) and entry.folder:
                return Holding(entry, each, place[len(each) + 1 :])
        return None

    def has_below(self, place: str) -> bool:
        """Whether there is an object below a place."""
        return self.bucket.has_below(_key(place))

    def children(self, place: str) -> tuple[list[str], list[tuple[str, str]]]:
        """In a folder that is not published: the names of folders, and the names and ETags of entries."""
        folders, objects = self.bucket.children(_key(place))
        if folders or objects:
            self._plain.add(place)
        listed = [(each.key.rpartition("/")[2], each) for each in objects]
        start = f"{place}/" if place else ""
        entries = [(n, each.etag) for n, each in listed if each.size % 2 == 0 or self.entry(start + n) is not None]
        names = {name for name, _ in entries}
        return [name for each in folders if (name := each.rpartition("/")[2]) not in names], entries

    def put(self, place: str, entry: Entry, replaced: str | None) -> str:
        """Replaces one version of a place's object; returns the new ETag. Raises Conflict."""
        etag = self.bucket.put(_key(place), entry.to_bytes(), replaced)
        self._keep(place, etag, entry)
        with self._lock:
            self._fresh.pop(place, None)
        return etag

    def replace(self, place: str, change: Callable[[Entry | None], Entry]) -> tuple[Entry | None, Entry]:
        """Replaces the entry of a place by what the change makes of it; returns the entry before and after.

        What was read of the place in the block of a lock must still be there.
        """
        seen = _read_under_lock.get()
        for _ in range(_TRIES):
            entry, etag = self.version(place)
            if seen is not None and seen.get(place) != etag:
                break
            before = self.shown(entry)
            try:
                after = change(before)
                written = self.put(place, after, etag)
            except Conflict:
                continue
            if seen is not None:
                seen[place] = written
            return before, after
        raise StoreAway("others changed the same place of the artifact store at the same time; try again")

    def remove(self, place: str) -> None:
        """Removes the object of a place."""
        self.bucket.delete([_key(place)])
        self._forget(place)
        if (seen := _read_under_lock.get()) is not None:
            seen[place] = None

    def entries_below(self, place: str) -> Iterator[Entry]:
        """All entries that are shown below a place; those that are known are not read again."""
        for each in self.bucket.listing(_key(place)):
            at = each.key.partition("/")[2]
            with self._lock:
                known = self._kept.get(at)
            if found := self.shown(known[1] if known and known[0] == each.etag else self.version(at).entry):
                yield found

    def below(self, place: str) -> list[str]:
        """The places of all objects below a place, those nearest to it first."""
        found = (each.key.partition("/")[2] for each in self.bucket.listing(_key(place)))
        return sorted(found, key=lambda each: each.count("/"))

    @contextmanager
    def consistent(self) -> Iterator[None]:
        """In the block, what is replaced must be what was read: a lock that was lost cannot do harm."""
        token = _read_under_lock.set({})
        try:
            yield
        finally:
            _read_under_lock.reset(token)

    def _note(self, place: str, until: float) -> None:
        """Notes that there is an entry: nothing above it is one, and it need not be looked at again for a while."""
        with self._lock:
            if until:
                self._fresh[place] = until
            if len(self._plain) > _MOST_PLAIN:
                self._plain.clear()
            while "/" in place:
                place = place.rpartition("/")[0]
                self._plain.add(place)

    def _keep(self, place: str, etag: str, entry: Entry) -> None:
        with self._lock:
            self._drop(place)
            self._kept[place] = (etag, entry)
            self._weight += _weight(entry)
            while self._weight > _WEIGHT and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))

    def _forget(self, place: str) -> None:
        with self._lock:
            self._drop(place)

    def _drop(self, place: str) -> None:
        self._fresh.pop(place, None)
        if known := self._kept.pop(place, None):
            self._weight -= _weight(known[1])


def _key(place: str) -> str:
    return f"tree/{place}" if place else "tree"


def _weight(entry: Entry) -> int:
    return 1 + len(entry.files) + sum(len(each.data) for each in entry.files.values() if each.data) // 1000
