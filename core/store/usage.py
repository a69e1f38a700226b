"""How much of the disk the parts of the artifact store take."""

import threading
import time
from typing import Literal

from flawsmith.core.store.interface import Store, children

Part = Literal["datasets", "models", "jobs"]

MEASURED_SECONDS = 10.0  # a measurement that lets a call pass may be this old
FRESH_SECONDS = 1.0  # one that refuses a call


class StorageUse:
    """Measures folders of the store, at most once in some seconds for all callers of this process."""

    def __init__(self, store: Store) -> None:
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
        names = [each.name for each in children(self.store.path(part))]
        return sum(1 for each in names if each.startswith(prefix) and not each.startswith("."))

    def _bytes(self, part: Part, seconds: float) -> int:
        now = time.monotonic()
        measured_at, found = self._measured.get(part, (-seconds, 0))
        if now - measured_at >= seconds:
            found = self.store.bytes_below(part)
            self._measured[part] = now, found
        return found
