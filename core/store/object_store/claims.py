"""Fencing by conditional writes: who lost a claim publishes nothing more.

All claims on one piece of work share one object, which names the newest. What a claim publishes is written pending,
where nobody sees it; it is published by replacing the claim's object, which fails once a later claim replaced it. There
is no moment between a check and the write.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flawsmith.core.store.claims import ClaimLost
from flawsmith.core.store.interface import Place, StoreAway
from flawsmith.core.store.object_store.bucket import Bucket, Conflict
from flawsmith.core.store.object_store.entries import Pending
from flawsmith.core.store.object_store.tree import ClaimState, Tree

if TYPE_CHECKING:
    from flawsmith.core.store.object_store.store import BucketStore


class BucketClaim:
    """The newest claim on a piece of work, until there is a later one; see `Claim`."""

    def __init__(self, store: "BucketStore", key: str, token: str, etag: str) -> None:
        self.store, self.key, self.name = store, key, token
        self._etag = etag
        self._unsettled: dict[str, str] = {}  # entries that are published and may still look pending

    @property
    def held(self) -> bool:
        """Whether no later claim is known of. A server that is away says nothing against it."""
        try:
            found = self.store.bucket.glance(self.key)
        except StoreAway:
            return True
        return bool(found and found.data and ClaimState.model_validate_json(found.data).token == self.name)

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """An empty local folder, to be published under this claim. Raises ClaimLost."""
        with self.store.staged() as folder:
            self.store.staged_under[folder] = self
            try:
                yield folder
            except Exception as error:
                if isinstance(error, ClaimLost) or self.held:
                    raise
                raise ClaimLost(f"the claim on {self.key} was followed by a later one") from error
            finally:
                del self.store.staged_under[folder]

    def write_bytes(self, path: Place, data: bytes) -> None:
        """Replaces the file atomically. Raises ClaimLost."""
        self.store.write_under(self, str(path), data)

    def publish_file(self, staged: Path, path: Place) -> None:
        """Moves a local file to its place, atomically. Raises ClaimLost."""
        self.store.write_under(self, str(path), staged)
        staged.unlink()

    @property
    def pending(self) -> Pending:
        """What an entry says that waits for this claim."""
        return Pending(claim=self.key, token=self.name)

    def publish(self, entry_id: str, place: str) -> None:
        """Publishes a pending entry that is at its place. Raises ClaimLost."""
        self._unsettled[entry_id] = place
        while True:
            state = ClaimState(token=self.name, published=self._unsettled)
            try:
                self._etag = self.store.bucket.put(self.key, state.model_dump_json().encode(), self._etag)
                break
            except Conflict:
                self._etag = self._newest_etag()
        settle(self.store.tree, entry_id, place)
        del self._unsettled[entry_id]

    def _newest_etag(self) -> str:
        """Of the claim's object, which this process may have written without learning of it. Raises ClaimLost."""
        found = self.store.bucket.get(self.key)
        if found is None or found.data is None or ClaimState.model_validate_json(found.data).token != self.name:
            raise ClaimLost(f"the claim on {self.key} was followed by a later one")
        return found.etag


def make_claim(store: "BucketStore", key: str) -> BucketClaim:
    """Makes the newest claim; every earlier one is lost."""
    token = secrets.token_hex(8)
    while True:
        etag = settle_all(store.bucket, store.tree, key)
        state = ClaimState(token=token)
        try:
            return BucketClaim(store, key, token, store.bucket.put(key, state.model_dump_json().encode(), etag))
        except Conflict:
            continue


def settle_all(bucket: Bucket, tree: Tree, key: str) -> str | None:
    """Settles what was published under a claim, so that its object may go; returns the object's ETag."""
    found = bucket.get(key)
    if found is None or found.data is None:
        return None
    for entry_id, place in ClaimState.model_validate_json(found.data).published.items():
        settle(tree, entry_id, place)
    return found.etag


def settle(tree: Tree, entry_id: str, place: str) -> None:
    """Takes from a published entry that it is pending, unless another process did, or it was replaced since."""
    entry, etag = tree.version(place)
    if entry and entry.id == entry_id and entry.pending:
        try:
            tree.put(place, entry.settled, etag)
        except Conflict:
            return
