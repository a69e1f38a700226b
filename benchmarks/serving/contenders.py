"""The peers as running processes."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import free_port, until

from benchmarks.serving.load import Load
from benchmarks.serving.peers.published import FOLDER
from benchmarks.serving.processes import tree

PEERS = "benchmarks.serving.peers"
START_SECONDS = 90.0
LITSERVE, BENTOML, PLAIN, BARE = "LitServe", "BentoML", "plain FastAPI", "bare endpoint"


@dataclass(frozen=True)
class Contender:
    """A server, and the request that gives one image. It is paused but for its turns: LitServe polls where it waits."""

    name: str
    pid: int
    request: Load

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Runs for as long as the block does."""
        for pid in tree(self.pid):
            os.kill(pid, signal.SIGCONT)
        yield
        self.pause()

    def pause(self) -> None:
        for pid in tree(self.pid):
            os.kill(pid, signal.SIGSTOP)


def command(name: str, port: int, peers_python: Path) -> list[str]:
    """How a peer is started. What needs no more than the project's own environment runs in that one."""
    return {
        LITSERVE: [str(peers_python), "-m", f"{PEERS}.litserve_server", str(port)],
        BENTOML: [
            *(str(peers_python), "-m", "bentoml", "serve", f"{PEERS}.bentoml_service:Generate"),
            *("--host", "127.0.0.1", "--port", str(port), "--do-not-track", "--quiet"),
        ],
        PLAIN: [sys.executable, "-m", f"{PEERS}.plain_fastapi", str(port)],
        BARE: [sys.executable, "-m", f"{PEERS}.bare_endpoint", str(port)],
    }[name]


@contextmanager
def peer(name: str, version: Path, data_dir: Path, log: Path, peers_python: Path) -> Iterator[Contender]:
    """Runs a peer on a published version, and on the Redis of the service in the data folder, until the block's end."""
    port = free_port()
    environment = {**os.environ, FOLDER: str(version), "FLAWSMITH_DATA_DIR": str(data_dir)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(name, port, peers_python),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C comes to this process alone, which ends the peers in order
        )
    body = '{"models": ["m"]}' if name == BENTOML else '{"model": "m"}'
    request = Load(f"http://127.0.0.1:{port}/generate", body)
    try:
        until(lambda: _answers(process, request), START_SECONDS, f"{name} answers; its log: {log}")
        contender = Contender(name, process.pid, request)
        contender.pause()
        yield contender
    finally:
        _end(process)


def _answers(process: subprocess.Popen[bytes], request: Load) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(request.url, request.body.encode(), headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends all its processes: LitServe's children outlive a SIGTERM to their parent, and BentoML's are of no group."""
    parts = tree(process.pid)
    for pid in parts:
        os.kill(pid, signal.SIGCONT)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for pid in parts:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
