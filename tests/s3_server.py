"""A real S3 server in a process of its own, and a proxy before it that makes its faults."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

BUCKET = "flawsmith"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "a-key-of-tests",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests",
    "AWS_REGION": "us-east-1",
}
PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address=sys.argv[1], port=int(sys.argv[2]), verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a server with a bucket: a moto server, which keeps everything in memory.

    Or the one that S3_SERVER names, which has the bucket, and the credentials of `ENVIRONMENT`.
    """
    if given := os.environ.get("S3_SERVER"):
        yield given
        return
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "127.0.0.1", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        urlopen(Request(f"{address}/{BUCKET}", method="PUT"), timeout=120).close()
        yield address
    finally:
        process.kill()
        process.communicate()


Fault = Callable[[str, str], str | None]
"""Decides by method and path: None passes a request on, ``error`` answers 500, ``slow down`` 503, ``refuse`` cuts the
connection before the request arrives, ``lose`` after it arrived and before its answer; ``ignore`` never answers."""


class FaultyProxy:
    """Stands before an S3 server. ``fault`` may be changed at any moment."""

    def __init__(self, address: str) -> None:
        self.fault: Fault = lambda method, path: None
        self.requests: list[tuple[str, str]] = []
        self.closed = threading.Event()
        proxy, upstream = self, address.removeprefix("http://")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with suppress(ConnectionError):
                    super().handle_one_request()

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.requests.append((self.command, self.path))
                fault = proxy.fault(self.command, self.path)
                if fault == "ignore":
                    proxy.closed.wait()
                if fault in ("refuse", "ignore"):
                    self.close_connection = True
                elif fault in ("error", "slow down"):
                    self._answer(500 if fault == "error" else 503, {}, b"<Error><Code>SlowDown</Code></Error>")
                else:
                    status, headers, content = _forward(upstream, self.command, self.path, dict(self.headers), body)
                    if fault == "lose":
                        self.close_connection = True
                    else:
                        self._answer(status, headers, content)

            def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                        self.send_header(name, value)
                length = headers.get("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()


def _forward(
    upstream: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(upstream, timeout=30)
    try:
        connection.request(method, path, body, {**headers, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()
