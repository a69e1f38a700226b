"""A load on an HTTP server and its outcome, and how to run one in a process of its own."""

import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """A request, and how often it is sent."""

    url: str
    body: str = ""  # JSON, sent by POST; empty: GET
    accept: str = "*/*"
    clients: int = 1  # connections
    seconds: float = 5.0  # how long requests are sent, after `warm_seconds`
    warm_seconds: float = 0.0  # at the start; nothing is counted
    requests: int = 0  # ends the run earlier; 0: no bound
    rate: float = 0.0  # requests per second in an open loop; 0: closed loop
    images: int = 1  # in an answer
    tally: str = ""  # name of a header whose values are counted
    start_at: float = 0.0  # in time.monotonic(); 0: now
    settle_seconds: float = 30.0  # longest wait for answers after the last request

    def message(self) -> bytes:
        """The request in bytes."""
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{'POST' if self.body else 'GET'} {target} HTTP/1.1", f"Host: {parts.netloc}"]
        lines.append(f"Accept: {self.accept}")
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body.encode())}"]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


@dataclass
class Outcome:
    """The result of a load. Each list has one entry per answer. Times are in seconds, `ended` counts from `began`."""

    began: float  # in time.monotonic(), when counting began
    window: float = 0.0  # how long answers were counted
    images: int = 1
    late: float = 0.0  # longest delay of a request in an open loop
    bytes: int = 0
    status: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    @classmethod
    def from_json(cls, text: str) -> Self:
        value = json.loads(text)
        return cls(**{**value, "tally": Counter(value["tally"])})

    def answers(self, status: int = 200) -> int:
        return self.status.count(status)

    def rate(self, status: int = 200) -> float:
        """Answers per second that were complete within the window."""
        inside = sum(s == status and end <= self.window for s, end in zip(self.status, self.ended, strict=True))
        return inside / self.window if self.window else math.nan

    @property
    def images_per_second(self) -> float:
        return self.rate() * self.images

    @property
    def images_in_a_row(self) -> float:
        """Images per second of one client over complete answers. (A window would cut long answers at its ends.)"""
        seconds = [t for s, t in zip(self.status, self.took, strict=True) if s == 200]
        return len(seconds) * self.images / sum(seconds) if seconds else math.nan

    def latency(self, share: float, status: int = 200) -> float:
        """The latency in seconds that this share of the answers does not exceed."""
        return percentile([t for s, t in zip(self.status, self.took, strict=True) if s == status], share)


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; NaN if there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def start_apart(load: Load) -> subprocess.Popen[str]:
    """Starts a load in a process of its own, with an interpreter of its own; `finish_apart` waits for it."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(load).items()]
    command = [sys.executable, "-m", "benchmarks.serving.load_generator", "--json", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish_apart(process: subprocess.Popen[str]) -> Outcome:
    """Waits for the end of a load. Raises RuntimeError if it failed; the reason is on standard error."""
    printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load generator ended with status {process.returncode}")
    return Outcome.from_json(printed)


def run_apart(load: Load) -> Outcome:
    """Runs a load in a process of its own."""
    return finish_apart(start_apart(load))
