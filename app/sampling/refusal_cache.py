"""Refusals of overloaded queues: repeated for a moment without asking Redis, and put into words."""

import math
import time
from dataclasses import dataclass

from prometheus_client import Counter

from flawsmith.app.problems import Problem
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.sampling_queue import Overloaded
from flawsmith.core.metrics import model_label

REFUSED = Counter("flawsmith_generate_refused_total", "Requests refused because the sampling queue is full", ["model"])

REPEATED_SECONDS = 0.2


@dataclass
class _Refusal:
    until: float
    deadline_seconds: float
    count: int
    overloaded: Overloaded


class RefusalCache:
    """Repeats a recent refusal without asking Redis. After `REPEATED_SECONDS`, one request probes the queue again."""

    def __init__(self) -> None:
        self._refusals: dict[tuple[str, str], _Refusal] = {}  # by version and caller

    def __len__(self) -> int:
        return len(self._refusals)

    def find(self, version: str, caller: str, count: int, deadline_seconds: float) -> Overloaded | None:
        """The recent refusal of a request that was no larger and could wait as long; None: ask the queue."""
        refusal = self._refusals.get((version, caller))
        if refusal is None or deadline_seconds > refusal.deadline_seconds + 1 or count < refusal.count:
            return None
        now = time.monotonic()
        if now < refusal.until:
            return refusal.overloaded
        refusal.until = now + REPEATED_SECONDS  # this request probes; the caller's others are refused meanwhile
        return None

    def add(self, version: str, caller: str, count: int, deadline_seconds: float, overloaded: Overloaded) -> None:
        until = time.monotonic() + REPEATED_SECONDS
        self._refusals[version, caller] = _Refusal(until, deadline_seconds, count, overloaded)

    def remove(self, version: str, caller: str) -> None:
        """Forgets the caller's refusal: the queue accepted a request of it, or it needed none."""
        self._refusals.pop((version, caller), None)

    def remove_expired(self) -> None:
        now = time.monotonic()
        self._refusals = {who: refusal for who, refusal in self._refusals.items() if refusal.until > now}


def busy_problem(version: ModelVersion, overloaded: Overloaded, deadline_seconds: float) -> Problem:
    """The refusal as Problem 429: why, and when to try again. Counts it."""
    REFUSED.labels(model_label(version.model)).inc()
    ahead, own = overloaded.ahead, overloaded.own
    retry_after = math.ceil(max(1.0, ahead + own - deadline_seconds))
    if own > deadline_seconds:
        detail = f"these images alone take about {own:.1f} s; ask for fewer of them, or allow more than that"
    elif ahead + own > deadline_seconds / 2:
        detail = (
            f"about {ahead:.1f} s of work are ahead of this request, and it allows {deadline_seconds:.1f} s"
            f"; try again in {retry_after} s"
        )
    else:
        retry_after = math.ceil(max(1.0, ahead / 2))
        detail = (
            "too many images wait already, of yours or of all callers"
            f"; wait for some of them, or try again in {retry_after} s"
        )
    return Problem(429, "busy", detail, {"Retry-After": str(retry_after)})
