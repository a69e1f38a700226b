"""A load generator that is not the bottleneck: one thread and raw sockets send the same request again and again.

    python -m benchmarks.serving.load --url http://127.0.0.1:8000/generate --body '{"model": "m"}' --clients 32

Without --rate, each connection sends its next request when it has its answer (closed loop). With --rate, each request
is sent at its time, independent of answers (open loop), over at most --clients connections.
"""

import argparse
import errno
import json
import math
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Self
from urllib.parse import urlsplit

from benchmarks.serving.http_answer import Answer

RECEIVE_BYTES = 256 * 1024
NO_ANSWER = 0  # the status of a request whose connection broke


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


class _Connection:
    """A keep-alive connection. ``sent`` is when its request in flight was sent; 0 if there is none."""

    def __init__(self, address: tuple[str, int], tally: str) -> None:
        self.address, self.sent, self.fresh = address, 0.0, True
        self.answer = Answer(tally)
        self.socket = self._connected()

    def _connected(self) -> socket.socket:
        connected = socket.create_connection(self.address, timeout=10)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        return connected


class Generator:
    """Runs one load."""

    def __init__(self, load: Load) -> None:
        self.load, self.message = load, load.message()
        parts = urlsplit(load.url)
        self.address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.poll = select.epoll()
        self.open: dict[int, _Connection] = {}
        self.idle: deque[_Connection] = deque()
        self.sent = self.waiting = 0

    def run(self) -> Outcome:
        """Sends requests until the end of the load, then waits for outstanding answers."""
        load = self.load
        if load.start_at:
            time.sleep(max(0.0, load.start_at - time.monotonic()))
        if not load.rate:
            self.idle.extend(self._connect() for _ in range(load.clients))
        self.first = time.monotonic()
        self.outcome = Outcome(began=self.first + load.warm_seconds, images=load.images)
        self.last = self.outcome.began + load.seconds
        while self._sending() or (self.waiting and time.monotonic() < self.last + load.settle_seconds):
            self._send_due()
            self._receive(self._wait_seconds())
        self._close()
        return self.outcome

    def _sending(self) -> bool:
        """Whether to send more requests. The window ends with the time, or with the last answer of a fixed number."""
        now = time.monotonic()
        if self.load.requests and self.sent >= self.load.requests:
            self.outcome.window = max(self.outcome.ended, default=0.0)
            return False
        self.outcome.window = min(now, self.last) - self.outcome.began
        return now < self.last

    def _send_due(self) -> None:
        now = time.monotonic()
        while now < self.last and not (self.load.requests and self.sent >= self.load.requests):
            due = self.first + self.sent / self.load.rate if self.load.rate else now
            if due > now or not (connection := self._free()):
                return
            self.outcome.late = max(self.outcome.late, now - due)
            self.sent += 1
            self._send(connection)

    def _free(self) -> _Connection | None:
        if self.idle:
            return self.idle.popleft()
        return self._connect() if len(self.open) < self.load.clients else None

    def _wait_seconds(self) -> float:
        """How long to wait for answers: at most until the next request is due."""
        now = time.monotonic()
        if not self.load.rate or now >= self.last:
            return 0.1
        due = self.first + self.sent / self.load.rate
        full = not self.idle and len(self.open) >= self.load.clients
        return 0.1 if full else min(0.1, max(0.0, due - now))

    def _connect(self) -> _Connection:
        connection = _Connection(self.address, self.load.tally)
        self.open[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)
        return connection

    def _send(self, connection: _Connection) -> None:
        connection.sent = time.monotonic()
        self.waiting += 1
        try:
            if connection.socket.send(self.message) != len(self.message):
                raise OSError(errno.EMSGSIZE, "a request that the socket's buffer does not hold")
        except (BrokenPipeError, ConnectionResetError):
            self._broken(connection)

    def _receive(self, seconds: float) -> None:
        for number, _ in self.poll.poll(seconds):
            connection = self.open.get(number)
            if connection is None:
                continue
            try:
                data = connection.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._broken(connection)
            elif connection.answer.feed(data):
                self._answered(connection)

    def _answered(self, connection: _Connection) -> None:
        answer, sent = connection.answer, connection.sent
        self.waiting -= 1
        connection.sent, connection.fresh = 0.0, False
        self._record(answer.status, sent, answer.bytes, answer.tallied)
        answer.clear()
        if answer.closes:
            self._drop(connection)
            self.idle.append(self._connect())
        else:
            self.idle.append(connection)

    def _record(self, status: int, sent: float, size: int, tallied: str) -> None:
        now, outcome = time.monotonic(), self.outcome
        if now < outcome.began:
            return
        outcome.status.append(status)
        outcome.took.append(now - sent)
        outcome.ended.append(now - outcome.began)
        outcome.bytes += size
        if tallied:
            outcome.tally[tallied] += 1

    def _broken(self, connection: _Connection) -> None:
        """Handles a closed connection. A request on a connection that the server closed as idle is sent again."""
        self._drop(connection)
        if not connection.sent:
            if connection in self.idle:
                self.idle.remove(connection)
            if not self.load.rate:
                self.idle.append(self._connect())
            return
        self.waiting -= 1
        if connection.fresh or connection.answer.begun:
            self._record(NO_ANSWER, connection.sent, 0, "")
            self.idle.append(self._connect())
        else:
            self._send(self._connect())

    def _drop(self, connection: _Connection) -> None:
        self.open.pop(connection.socket.fileno(), None)
        connection.socket.close()

    def _close(self) -> None:
        for connection in self.open.values():
            connection.socket.close()
        self.poll.close()


def start_apart(load: Load) -> subprocess.Popen[str]:
    """Starts a load in a process of its own, with an interpreter of its own; `finish_apart` waits for it."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(load).items()]
    command = [sys.executable, "-m", "benchmarks.serving.load", "--json", *words]
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


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", required=True)
    options.add_argument("--body", default="", help="JSON, sent by POST; default: GET")
    options.add_argument("--accept", default="*/*")
    options.add_argument("--clients", type=int, default=1, help="connections")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--warm-seconds", type=float, default=0.0, help="before these, not counted")
    options.add_argument("--requests", type=int, default=0, help="ends the run earlier")
    options.add_argument("--rate", type=float, default=0.0, help="requests per second, in an open loop")
    options.add_argument("--images", type=int, default=1, help="in an answer")
    options.add_argument("--tally", default="", help="name of a header whose values are counted")
    options.add_argument("--start-at", type=float, default=0.0, help="a time of the monotonic clock")
    options.add_argument("--settle-seconds", type=float, default=30.0, help="longest wait for the last answers")
    options.add_argument("--json", action="store_true", help="print the times of every answer instead of a summary")
    given = vars(options.parse_args())
    as_json = given.pop("json")
    outcome = Generator(Load(**given)).run()
    print(json.dumps(vars(outcome)) if as_json else _summary(outcome))


def _summary(outcome: Outcome) -> str:
    lines = [f"{outcome.images_per_second:.1f} images/s, {outcome.bytes:,} bytes in {outcome.window:.2f} s"]
    for status, count in sorted(Counter(outcome.status).items()):
        p50, p99 = (1000 * outcome.latency(share, status) for share in (0.5, 0.99))
        name = status or "no answer"
        lines.append(f"{name}: {count} ({outcome.rate(status):.1f}/s), p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    lines += [f"{value}: {count}" for value, count in sorted(outcome.tally.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
