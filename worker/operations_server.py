"""The HTTP server of a worker: its metrics, liveness and readiness."""

import json
import math
import socket
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from flawsmith.core.live.task_queues import LIVE_SECONDS
from flawsmith.core.metrics import scrape_format

SECURITY_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]

_Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Heartbeat:
    """Whether other processes see this worker as live, as far as the worker can tell."""

    def __init__(self) -> None:
        self._accepted_at = -math.inf  # on the monotonic clock

    def accepted(self) -> None:
        """Redis has just accepted a heartbeat."""
        self._accepted_at = time.monotonic()

    @property
    def live(self) -> bool:
        """Whether Redis accepted one within the last `LIVE_SECONDS`."""
        return time.monotonic() - self._accepted_at < LIVE_SECONDS


def operations_app(heartbeat: Heartbeat) -> _Application:
    """A WSGI application: ``/healthz``, ``/readyz`` as those of the API, and the metrics at every other path."""
    metrics = make_wsgi_app()

    def respond(environ: dict[str, Any], start_answer: Callable[..., Any]) -> Iterable[bytes]:
        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_answer(status, [*headers, *SECURITY_HEADERS], *more)

        if environ["PATH_INFO"] == "/healthz":
            return _json(start_response, HTTPStatus.OK, {"status": "alive"})
        if environ["PATH_INFO"] == "/readyz":
            if heartbeat.live:
                return _json(start_response, HTTPStatus.OK, {"status": "ready", "missing": []})
            missing = [f"redis: no heartbeat was accepted in {LIVE_SECONDS:g} s"]
            return _json(start_response, HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready", "missing": missing})
        environ["HTTP_ACCEPT"] = scrape_format(environ.get("HTTP_ACCEPT", ""))
        answer: Iterable[bytes] = metrics(environ, start_response)
        return answer

    return respond


def serve_operations(heartbeat: Heartbeat, host: str, port: int) -> int:
    """Starts the server in a thread of its own; returns its port. Raises OSError if the address is in use."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    server = _Server(family, (str(address[0]), port))
    server.set_app(operations_app(heartbeat))
    Thread(target=server.serve_forever, name="operations", daemon=True).start()
    return server.server_port


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, family: int, address: tuple[str, int]) -> None:
        self.address_family = family  # before the socket is made
        super().__init__(address, _SilentHandler)


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


def _json(start_response: Callable[..., Any], status: HTTPStatus, body: dict[str, Any]) -> list[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
