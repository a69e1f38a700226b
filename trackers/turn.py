"""Which process sends to a tracker: among those of a machine the holder of a locked file, among machines of a lease."""

import fcntl
from pathlib import Path
from typing import TextIO

from redis import Redis

from flawsmith.core.live import keys

LEASE_SECONDS = 300  # without a sign of the machine, until another one sends: longer than sending one job takes


class Turn:
    """Of the processes that follow jobs for one tracker, one at a time has its turn; the others stand by.

    The lock ends with its process, so that the next one of the machine goes on at once.

    Args:
        tracker: its place, which all processes name alike.
        folder: of this machine, or shared; for the locked file.
        machine: the name of its host, which no other one has.
        redis: of the site.
    """

    def __init__(self, tracker: str, folder: Path, machine: str, redis: Redis) -> None:
        self._folder, self._machine, self._redis = folder, machine.encode(), redis
        self._lease = keys.tracker_lease(tracker)
        self._lock: TextIO | None = None  # held until this process ends

    def come(self) -> bool:
        """Whether it is this process's turn, for `LEASE_SECONDS` from now. Raises RedisError, OSError."""
        if self._lock is None and not self._locked():
            return False
        if self._redis.set(self._lease, self._machine, nx=True, ex=LEASE_SECONDS):
            return True
        return self._redis.get(self._lease) == self._machine and bool(self._redis.expire(self._lease, LEASE_SECONDS))

    def is_kept(self) -> bool:
        """Whether no other machine has taken the turn since; it lasts `LEASE_SECONDS` from now. Raises RedisError."""
        owner = self._redis.get(self._lease)
        if owner == self._machine:
            self._redis.expire(self._lease, LEASE_SECONDS)
        return owner in (None, self._machine)

    def leave(self) -> None:
        """Lets another machine go on at once. Raises RedisError."""
        if self._lock is not None and self._redis.get(self._lease) == self._machine:
            self._redis.delete(self._lease)

    def _locked(self) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = (self._folder / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True
