"""How much of the disk the parts of the artifact store take."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from flawsmith.core.store.artifacts import ArtifactStore

Part = Literal["datasets", "models", "jobs"]

MEASURED_SECONDS = 10.0  # a measurement that lets a call pass may be this old
FRESH_SECONDS = 1.0  # one that refuses a call


class StorageUse:
    """Measures folders of the store, at most once in some seconds for all callers of this process."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._measured: dict[Part, tuple[float, int]] = {}  # when, on the monotonic clock, and bytes

    def is_over(self, part: Part, bound: int, more: int = 0) -> int | None:
        """The bytes that a part takes, where these and ``more`` are over a bound; None where they are not."""
        with self._lock:
            found = self._bytes(part, MEASURED_SECONDS)
            if found + more <= bound:
                return None
            found = self._bytes(part, FRESH_SECONDS)
            return found if found + more > bound else None

    def count(self, part: Part, prefix: str = "") -> int:
        """How many folders a part has, by the beginning of their names."""
        try:
            with os.scandir(self.store.path(part)) as entries:
                return sum(1 for each in entries if each.name.startswith(prefix) and not each.name.startswith("."))
        except FileNotFoundError:
            return 0

    def _bytes(self, part: Part, seconds: float) -> int:
        now = time.monotonic()
        measured_at, found = self._measured.get(part, (-seconds, 0))
        if now - measured_at >= seconds:
            found = bytes_below(self.store.path(part))
            self._measured[part] = now, found
        return found


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder. A file that several names share counts once; what vanishes meanwhile not."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for found in _files(folder):
        identity = found.st_dev, found.st_ino
        if found.st_nlink > 1:
            if identity in seen:
                continue
            seen.add(identity)
        total += found.st_size
    return total


def unshared_bytes(folder: Path) -> int:
    """Bytes of the files below a folder that have no other name."""
    return sum(found.st_size for found in _files(folder) if found.st_nlink == 1)


def _files(folder: Path) -> Iterator[os.stat_result]:
    try:
        with os.scandir(folder) as entries:
            for each in entries:
                if each.is_dir(follow_symlinks=False):
                    yield from _files(Path(each.path))
                else:
                    try:
                        yield each.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
    except (FileNotFoundError, NotADirectoryError):
        return
