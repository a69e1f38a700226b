"""A receiver of webhooks: a real HTTP server that keeps what it gets, and answers as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass
class Receiver:
    """``answers`` are the next statuses, for each path; then 204. ``got`` holds path, headers and body of each post."""

    url: str
    answers: dict[str, list[int]] = field(default_factory=dict)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def at(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        """What came to a path."""
        return [(headers, body) for each, headers, body in self.got if each == path]

    def verified(self, path: str, secret: str, position: int = 0) -> Any:
        """The payload of a post, by the standard's own library. Raises WebhookVerificationError."""
        headers, body = self.at(path)[position]
        return Webhook(secret).verify(body, headers)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listens on loopback until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            running.got.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
            status = running.answers.get(self.path, []).pop(0) if running.answers.get(self.path) else 204
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
