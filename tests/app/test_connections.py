"""What a client can do to a connection before its request reaches the application, on raw sockets."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from tests.conftest import until

from flawsmith.app import connections
from flawsmith.app.connections import BoundedProtocol

LIMIT = 20
HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"
REQUEST = HEAD + b"Content-Length: 2\r\n\r\nhi"
HALF_BODY = HEAD + b"Content-Length: 100000\r\n\r\nhello"
AT_WORK: list[int] = []  # sizes of the bodies of requests for /slow
ENDLESS = 8 * 1024 * 1024  # bytes, a hundred times what is allowed


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body; at once, without reading it, on the path /early; never on the path /slow."""
    size, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    if scope["path"] == "/slow":
        AT_WORK.append(size)
        await receive()  # the client leaves
        return
    text = b"%d" % size if scope["path"] != "/large" else bytes(ENDLESS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server whose seconds are twenty times as short, and which holds `LIMIT` connections."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "LOOK_SECONDS", 0.05)
        patch.setattr(connections, "connection_limit", lambda: LIMIT)
        config = uvicorn.Config(application, port=0, http=BoundedProtocol, ws="none", lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        until(lambda: server.started, 10, "the server listens")
        yield int(server.servers[0].sockets[0].getsockname()[1])
        server.should_exit = True
        thread.join(10)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def rest(client: socket.socket) -> bytes:
    """All that the server sends until it closes the connection. Fails after ten seconds without a byte."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := client.recv(65536):
            received += piece
    return received


def one_answer(client: socket.socket) -> bytes:
    """One answer with a Content-Length, which may come in parts."""
    received = b""
    while (found := re.search(rb"content-length: (\d+)\r\n(?:.+\r\n)*\r\n", received)) is None or (
        len(received) < found.end() + int(found[1])
    ):
        part = client.recv(65536)
        assert part, received
        received += part
    return received


def sent(client: socket.socket, data: bytes) -> None:
    """Sends as much as the server takes."""
    with suppress(ConnectionError, TimeoutError):
        client.sendall(data)


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    found: dict[str, Any] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % found["status"])
    return found


def test_requests_are_answered_one_after_another_and_pipelined(port: int) -> None:
    with connect(port) as client:
        for _ in range(3):
            client.sendall(REQUEST)
            assert one_answer(client).endswith(b"\r\n\r\n2")
        client.sendall(REQUEST * 3)
        assert rest(client).count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("length", [60_000, 200_000])
def test_a_body_may_be_larger_than_the_headers_may(port: int, length: int) -> None:
    with connect(port) as client:
        client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % length + bytes(length))
        assert one_answer(client).endswith(b"\r\n\r\n%d" % length)
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 40_000 + b"0\r\n\r\n")
        assert one_answer(client).endswith(b"\r\n\r\n200000")


@pytest.mark.parametrize(
    "start",
    [
        HEAD + b"A: ",  # one value without end
        HEAD,  # the loop below makes a name without end
        b"GET /",
        b"",
        REQUEST + HEAD + b"B: ",  # the second request of a connection
    ],
)
def test_headers_without_end_are_431(port: int, start: bytes) -> None:
    with connect(port) as client:
        sent(client, start + b"a" * ENDLESS)
        answer = rest(client)
    if answer:  # a reset may overtake it
        assert b" 431 " in answer or (start == b"" and b" 400 " in answer)


def test_too_many_headers_are_431_also_when_they_are_complete(port: int) -> None:
    with connect(port) as client:
        client.sendall(HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(8_000)) + b"\r\n")
        answer = rest(client)
        assert problem(answer)["detail"] == "request line and headers may have at most 65536 bytes"
        assert (
            b"\r\nx-content-type-options: nosniff\r\n" in answer and b"\r\ncontent-security-policy: default" in answer
        )


@pytest.mark.parametrize("end", [b"0\r\nTrailer: ", b"0\r\n", b"1;extension=", b"1;"])
def test_what_surrounds_a_chunked_body_has_a_bound_too(port: int, end: bytes) -> None:
    with connect(port) as client:
        sent(client, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n" + end + b"a" * ENDLESS)
        assert b" 200 " not in rest(client)


def test_trailers_are_ignored(port: int) -> None:
    with connect(port) as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Request-ID: x\r\n\r\n")
        assert one_answer(client).endswith(b"\r\n\r\n2")


@pytest.mark.parametrize("start", [b"G", HEAD, HEAD + b"A: b", b"POST /x HTTP/1.1\r\n"])
def test_half_sent_headers_are_408(port: int, start: bytes) -> None:
    with connect(port) as client:
        client.sendall(start)
        found = problem(rest(client))
    assert (found["status"], found["type"]) == (408, "urn:flawsmith:too-slow")
    assert found["detail"] == "the headers were not complete within 10 s; send the request again"


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_half_sent_body_is_408(port: int, length: bytes) -> None:
    with connect(port) as client:
        client.sendall(HEAD + length + b"\r\n\r\n5\r\nhello\r\n")
        found = problem(rest(client))
    assert (found["status"], found["instance"]) == (408, "/x")
    assert "1000 bytes a second" in found["detail"]


def test_a_body_that_comes_byte_by_byte_is_408(port: int) -> None:
    with connect(port) as client:
        client.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        client.settimeout(0.02)
        received = b""
        for _ in range(1000):
            with suppress(TimeoutError):
                received = client.recv(65536)
                break
            sent(client, b"x")
        assert b" 408 " in received


@pytest.mark.parametrize("start", [b"", REQUEST, REQUEST + b"\r\n", REQUEST * 2])
def test_an_idle_connection_is_closed(port: int, start: bytes) -> None:
    with connect(port) as client:
        client.sendall(start)
        answers = rest(client)
    assert answers.count(b"HTTP/1.1 ") == answers.count(b" 200 ") == start.count(b"POST")


def test_the_rest_of_a_body_that_was_answered_early_is_not_awaited(port: int) -> None:
    with connect(port) as client:
        client.sendall(HEAD.replace(b"/x", b"/early") + b"Content-Length: 100000\r\n\r\nhello")
        assert rest(client).count(b" 200 ") == 1


def test_a_client_that_does_not_read_its_answer_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 5)
    before = connections.CLOSED.labels("unread")._value.get()
    with connect(port) as client:
        client.sendall(REQUEST.replace(b"/x", b"/large"))
        until(lambda: connections.CLOSED.labels("unread")._value.get() > before, 10, "the connection is cut off")


@pytest.mark.parametrize("start", [b"", HEAD, REQUEST, b"G", HALF_BODY])
def test_idle_and_half_open_connections_make_room_for_a_new_one(port: int, start: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(5 * LIMIT):
            client = stack.enter_context(connect(port))
            client.sendall(start)
        honest = stack.enter_context(connect(port))
        honest.sendall(REQUEST)
        assert honest.recv(65536).endswith(b"\r\n\r\n2")


def test_where_all_connections_are_at_work_a_new_one_is_503(port: int) -> None:
    with ExitStack() as stack:
        busy = [stack.enter_context(connect(port)) for _ in range(LIMIT)]
        for client in busy:
            client.sendall(REQUEST.replace(b"/x", b"/slow"))
        until(lambda: len(AT_WORK) >= LIMIT, 10, "all requests are at work")
        refused = stack.enter_context(connect(port))
        answer = rest(refused)
        assert problem(answer)["status"] == 503
        assert b"retry-after: 1\r\n" in answer


@pytest.mark.parametrize("text", [b"\x16\x03\x01\x02\x00\x01\x00", b"nonsense\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"])
def test_what_is_not_http_is_a_problem(port: int, text: bytes) -> None:
    with connect(port) as client:
        client.sendall(text)
        assert problem(rest(client))["status"] == 400


def test_a_websocket_upgrade_does_not_leave_the_bounds(port: int) -> None:
    with connect(port) as client:
        client.sendall(HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n")
        assert b" 101 " not in rest(client)
