"""The versions that this sampling worker fails to sample."""

import threading
import time

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0  # seconds in which it leaves a version to other workers


class FailingVersions:
    """For how long to leave each version alone: twice as long after each failure in a row. Safe to use from threads.

    Failures within a pause are of passes that ran beside the one that began it, or of a worker that has no other: they
    do not make it longer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: dict[str, tuple[int, float]] = {}  # failures in a row, and until when it is paused

    def record(self, version: str) -> float:
        """Notes a failure; returns how long the pause lasts from now, in seconds."""
        with self._lock:
            now = time.monotonic()
            failures, until = self._failing.get(version, (0, now))
            if until <= now:
                until = now + float(min(FIRST_PAUSE * 2**failures, LONGEST_PAUSE))
                self._failing[version] = failures + 1, until
            return until - now

    def forget(self, version: str) -> bool:
        """Notes that the version could be sampled, or that it is gone; returns whether it failed before."""
        with self._lock:
            return self._failing.pop(version, None) is not None

    @property
    def paused(self) -> list[str]:
        """The versions to leave alone now."""
        with self._lock:
            now = time.monotonic()
            return [version for version, (_, until) in self._failing.items() if until > now]
