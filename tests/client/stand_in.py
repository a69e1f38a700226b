"""A server that answers a client as a test says, and a proxy that cuts a connection to a real service once."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Call:
    """A request that the stand-in received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What it answers; ``cut`` bytes of the body are sent before the connection breaks. An empty header is left out."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    cut: int | None = None


def problem(status: int, kind: str, detail: str = "no", headers: dict[str, str] | None = None, **members: Any) -> Reply:
    """A refusal in the service's form."""
    body = {
        "type": f"urn:flawsmith:{kind}",
        "title": "",
        "status": status,
        "detail": detail,
        "instance": "/",
        **members,
    }
    return Reply(status, json.dumps(body).encode(), headers or {}, "application/problem+json")


@dataclass
class StandIn:
    """A server on a thread. ``calls`` are the requests so far."""

    url: str
    calls: list[Call]


@contextmanager
def answering(answer: Callable[[int, Call], Reply]) -> Iterator[StandIn]:
    """A server whose n-th answer (from 0) is that of the function."""
    calls: list[Call] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            names = {name.lower(): value for name, value in self.headers.items()}
            calls.append(Call(self.command, self.path, names, body))
            reply = answer(len(calls) - 1, calls[-1])
            self.send_response(reply.status)
            sent = {
                "Connection": "close",
                "Content-Type": reply.kind,
                "Content-Length": str(len(reply.body)),
                **reply.headers,
            }
            for name, value in sent.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = _handle

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield StandIn(f"http://127.0.0.1:{server.server_port}", calls)
        server.shutdown()


class CuttingProxy:
    """Forwards TCP to a service, and cuts the first connection that carries so many bytes in one direction.

    Args:
        up: bytes from the client after which it cuts; None: never.
        down: bytes from the service after which it cuts, and which it passes on; None: never.
    """

    def __init__(self, port: int, *, up: int | None = None, down: int | None = None) -> None:
        self.port, self.up, self.down = port, up, down
        self.cuts = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "CuttingProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                service = socket.create_connection(("127.0.0.1", self.port))
                for source, target, bound in ((client, service, self.up), (service, client, self.down)):
                    threading.Thread(target=self._copy, args=(source, target, bound), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, bound: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while piece := source.recv(1 << 14):
                if bound is not None and passed + len(piece) > bound and self._first():
                    target.sendall(piece[: bound - passed])
                    break
                target.sendall(piece)
                passed += len(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _first(self) -> bool:
        with self._lock:
            self.cuts += 1
            return self.cuts == 1
