"""`flawsmith watch` where there is nothing to watch: one line, and a status that says so."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.conftest import free_port


class Handler(BaseHTTPRequestHandler):
    """Stands in for a service: knows no job, or is another kind of server below /other."""

    def do_GET(self) -> None:
        if self.path.startswith("/other"):
            self._send(200, "text/html", b"<html>")
        elif self.path.startswith("/moved"):
            self._send(307, "text/html", b"")
        else:
            self._send(404, "application/problem+json", b'{"detail": "there is no training job of that id"}')

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def watch(*arguments: str) -> str:
    """The one line that the command ends with."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLAWSMITH_")}
    command = [sys.executable, "-m", "flawsmith.cli.main", "watch", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("job", ["nojob", "../etc", "a b/c?d", "", "キズ"])
def test_an_unknown_job_is_one_line(url: str, job: str) -> None:
    assert watch(job, "--url", url) == "refused: there is no training job of that id"


def test_a_service_that_does_not_run_is_one_line() -> None:
    line = watch("job-1", "--url", f"http://127.0.0.1:{free_port()}")
    assert line.startswith("no answer from the service")
    assert "is it running" in line


@pytest.mark.parametrize("wrong", ["127.0.0.1:9", "ftp://127.0.0.1", "http://[", "http://no.such.host.invalid"])
def test_a_url_that_leads_nowhere_is_one_line(wrong: str) -> None:
    assert watch("job-1", "--url", wrong).startswith("no answer from the service")


@pytest.mark.parametrize("path", ["/other", "/moved"])
def test_another_server_is_one_line(url: str, path: str) -> None:
    assert "is no training job of Flawsmith" in watch("job-1", "--url", url + path)
