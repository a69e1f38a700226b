"""A load generator that is not the bottleneck: one thread and raw sockets send the same request again and again.

    python -m benchmarks.serving.load_generator --url http://127.0.0.1:8000/generate --body '{"model": "m"}' --clients 9

Without --rate, each connection sends its next request when it has its answer (closed loop). With --rate, each request
is sent at its time, independent of answers (open loop), over at most --clients connections.
"""

import argparse
import errno
import json
import select
import socket
import time
from collections import Counter, deque
from urllib.parse import urlsplit

from benchmarks.serving.http_answer import Answer
from benchmarks.serving.load import Load, Outcome

RECEIVE_BYTES = 256 * 1024
NO_ANSWER = 0  # the status of a request whose connection broke


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
