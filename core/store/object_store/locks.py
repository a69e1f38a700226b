"""Locks among all processes that use a bucket: an object that says until when who holds it."""

import random
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pydantic import BaseModel

from flawsmith.core.store.interface import StoreAway
from flawsmith.core.store.object_store.bucket import Bucket, Conflict

HELD_SECONDS = 30.0  # without a renewal; the clocks of two machines may differ by less than that
RENEWED_SECONDS = 10.0
WAIT_SECONDS = 120.0
_LONGEST_PAUSE = 0.5


class LockState(BaseModel):
    """``until`` is a Unix time; 0: the lock is free."""

    owner: str
    until: float


class Lock:
    """One holding of a lock. What is written in its block must be conditional: a holder may be suspended."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.bucket, self.key = bucket, key
        self._etag: str | None = None
        self._released = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Waits for the lock and holds it during the block. Raises StoreAway where it stays taken."""
        self._acquire()
        renewal = threading.Thread(target=self._renew, name="lock", daemon=True)
        renewal.start()
        try:
            yield
        finally:
            self._released.set()
            renewal.join()
            with suppress(Conflict, StoreAway):
                self._write(0.0)

    def _acquire(self) -> None:
        give_up, pause = time.monotonic() + WAIT_SECONDS, 0.02
        while time.monotonic() < give_up:
            found = self.bucket.get(self.key)
            self._etag = found.etag if found else None
            if found is None or (found.data and LockState.model_validate_json(found.data).until < time.time()):
                with suppress(Conflict):
                    self._write(time.time() + HELD_SECONDS)
                    return
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise StoreAway("a lock in the artifact store stays taken; try again")

    def _renew(self) -> None:
        while not self._released.wait(RENEWED_SECONDS):
            with suppress(StoreAway):
                try:
                    self._write(time.time() + HELD_SECONDS)
                except Conflict:  # another has it: what this one writes from now on fails
                    return

    def _write(self, until: float) -> None:
        state = LockState(owner=secrets.token_hex(8), until=until)
        self._etag = self.bucket.put(self.key, state.model_dump_json().encode(), self._etag)
