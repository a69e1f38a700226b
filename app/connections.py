"""Bounds on what a connection may cost before its request reaches the application, and before any API key is checked.

uvicorn's HTTP protocol on httptools is fast, but waits for ever for the rest of a request, and keeps header lines
without end. This protocol adds the bounds. They cost no timer and no clock call per request: once a second, one look
visits all connections.
"""

import asyncio
import json
import resource
from functools import cache
from http import HTTPStatus
from typing import Any, ClassVar
from weakref import WeakSet

from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from flawsmith.app.problems import MEDIA_TYPE
from flawsmith.app.security_headers import RAW
from flawsmith.core.settings import get_settings

MAX_HEAD_BYTES = 64 * 1024  # of request line and headers; also of a chunked body's trailers and chunk extensions
LOOK_SECONDS = 1.0  # all durations below are counted in looks
HEAD_SECONDS = 10  # from the connection, or from a request's first byte, to the end of its headers
BODY_SECONDS = 20  # for a body, and one more for every BODY_BYTES_PER_SECOND that arrived
BODY_BYTES_PER_SECOND = 1000
REFUSED_BODY_SECONDS = 5  # for the rest of a body that was answered before it was complete
UNREAD_SECONDS = 60  # in which the client reads nothing of its answer

CLOSED = Counter("flawsmith_connections_closed_total", "Connections closed for crossing a bound", ["bound"])


@cache
def connection_limit() -> int:
    """How many connections this process holds; half of its file descriptors stay free for Redis and files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = get_settings().max_connections
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft // 2))


def raise_descriptor_limit() -> None:
    """Lets this process and its children open as many files as their connections need, where the system permits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * get_settings().max_connections
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Where a request crosses a bound, the client gets a problem (408, 431, 503) and is cut off."""

    _watched: ClassVar[WeakSet[ServerState]] = WeakSet()  # servers whose connections are looked at

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_body = False  # headers are complete, the body is not
        self._message_open = True  # a request is awaited or arriving
        self._unproductive_bytes = 0  # since headers were complete, or since the last byte of a body
        self._body_bytes = 0
        self._waited = 0  # looks at which this client was to send something
        self._unread_bytes = self._unread = 0  # of the answer, and looks at which it stayed so
        self._head_too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > connection_limit():
            self._make_room()
        if self.server_state not in self._watched:
            self._watched.add(self.server_state)
            self.loop.call_later(LOOK_SECONDS, self._look_at_all, self.loop, self.server_state)

    def data_received(self, data: bytes) -> None:
        self._unproductive_bytes += len(data)
        super().data_received(data)
        if self._unproductive_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse_head()

    def on_message_begin(self) -> None:
        self._waited, self._message_open, self._in_body = 0, True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._unproductive_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            self._head_too_large = True
            raise ValueError("the headers are too large")  # makes the parser stop; `send_400_response` answers
        self._waited = self._unproductive_bytes = self._body_bytes = 0
        self._in_body = True
        super().on_headers_complete()
        self.headers = []  # trailers end here, and not in the request's headers

    def on_body(self, body: bytes) -> None:
        self._unproductive_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unproductive_bytes = 0
        self._message_open = self._in_body = False
        self._waited = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._head_too_large:
            self._refuse_head()
        else:
            self._refuse(400, "malformed-request", "this is not a valid HTTP/1.1 request", "malformed")

    @classmethod
    def _look_at_all(cls, loop: asyncio.AbstractEventLoop, server: ServerState) -> None:
        """Looks at every connection, and again after `LOOK_SECONDS` while there are any."""
        for connection in list(server.connections):
            if isinstance(connection, cls) and not connection.transport.is_closing():
                connection._look()
        if server.connections:
            loop.call_later(LOOK_SECONDS, cls._look_at_all, loop, server)
        else:
            cls._watched.discard(server)

    def _look(self) -> None:
        """Cuts the connection off if its client has been too slow."""
        if self.flow.write_paused:
            self._look_at_answer()
        elif self._awaits_client and not self.flow.read_paused:  # paused: the application is the slow one
            self._waited += 1
            self._look_at_request()

    @property
    def _awaits_client(self) -> bool:
        return self._message_open or self.cycle.response_complete

    def _look_at_answer(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._unread = self._unread + 1 if left == self._unread_bytes else 0
        self._unread_bytes = left
        if self._unread > UNREAD_SECONDS:
            CLOSED.labels("unread").inc()
            self.transport.abort()

    def _look_at_request(self) -> None:
        if not self._in_body:
            if self._waited > HEAD_SECONDS:
                if self._unproductive_bytes:
                    detail = f"the headers were not complete within {HEAD_SECONDS} s; send the request again"
                    self._refuse(408, "too-slow", detail, "head")
                else:
                    self._close("idle")
        elif self.cycle.response_complete:
            if self._waited > REFUSED_BODY_SECONDS:
                self._close("body")
        elif self._waited > BODY_SECONDS + self._body_bytes / BODY_BYTES_PER_SECOND:
            detail = f"the body came slower than {BODY_BYTES_PER_SECOND} bytes a second; send the request again"
            self._refuse(408, "too-slow", detail, "body")

    @property
    def _awaits_head(self) -> bool:
        """Whether no request is being answered, and none has arrived but perhaps a part of its headers."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self._in_body and not self.transport.is_closing()

    @property
    def _awaits_body(self) -> bool:
        """Whether a request's body is still arriving, and nothing has been answered."""
        return self._in_body and not self.cycle.response_started and not self.transport.is_closing()

    @property
    def _lateness(self) -> float:
        """Seconds by which the client is behind the slowest that is permitted, while it sends a request."""
        return self._waited - self._body_bytes / BODY_BYTES_PER_SECOND

    def _make_room(self) -> None:
        """Closes the connection that has been idle, or sending headers, for longest.

        Without such a one, the one whose body arrives slowest is refused; where all others are at work, this one.
        """
        others = [each for each in self.connections if isinstance(each, BoundedProtocol) and each is not self]
        crowded = "too many connections are open; try again shortly"
        if idle := [each for each in others if each._awaits_head]:
            leaving = max(idle, key=lambda each: each._waited)
            leaving._close("connections")
        else:
            leaving = max((each for each in others if each._awaits_body), key=lambda each: each._lateness, default=self)
            leaving._refuse(503, "unavailable", crowded, "connections")
        self.connections.discard(leaving)  # a newer connection must not count it again before the loop has closed it

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        detail = f"request line and headers may have at most {MAX_HEAD_BYTES} bytes"
        self._refuse(431, "too-large", detail, "head")

    def _refuse(self, status: int, kind: str, detail: str, bound: str) -> None:
        """Answers with a problem, unless another answer has begun, and closes the connection."""
        if not self.pipeline and not (self.cycle and self.cycle.response_started and not self.cycle.response_complete):
            problem = {"type": f"urn:flawsmith:{kind}", "title": HTTPStatus(status).phrase, "status": status}
            path = self.scope.get("path", "") if self.scope else ""
            content = json.dumps({**problem, "detail": detail, "instance": path}).encode()
            retry = b"retry-after: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + retry + RAW + head.encode() + content)
        self._close(bound)

    def _close(self, bound: str) -> None:
        CLOSED.labels(bound).inc()
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
