"""Runs the servers that Flawsmith is compared with."""

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

from benchmarks.local_service import free_port, wait_until
from benchmarks.serving.load import Load
from benchmarks.serving.peers.published import FOLDER
from benchmarks.serving.processes import process_tree

PEERS = "benchmarks.serving.peers"
START_SECONDS = 90.0
LITSERVE, BENTOML, PLAIN, BARE = "LitServe", "BentoML", "plain FastAPI", "bare endpoint"


@dataclass(frozen=True)
class PeerServer:
    """A running server and the request for one image. It is paused unless measured: LitServe polls while it waits."""

    name: str
    pid: int
    request: Load

    @contextmanager
    def resumed(self) -> Iterator[None]:
        """Lets the server run for the duration of the block."""
        for pid in process_tree(self.pid):
            os.kill(pid, signal.SIGCONT)
        yield
        self.pause()

    def pause(self) -> None:
        for pid in process_tree(self.pid):
            os.kill(pid, signal.SIGSTOP)


def command(name: str, port: int, peers_python: Path) -> list[str]:
    """The command that starts a peer. Those that need only the project's own environment run in it."""
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
def peer_server(name: str, version: Path, data_dir: Path, log: Path, peers_python: Path) -> Iterator[PeerServer]:
    """Runs a peer for the duration of the block, paused.

    Args:
        name: one of the names above.
        version: folder of the published version that it serves.
        data_dir: data folder of a running service, whose Redis the bare endpoint uses.
        log: file for its output.
        peers_python: interpreter of the peers' environment.
    """
    port = free_port()
    source = Path(__file__).parents[2] / "src"  # the peers' environment has no Flawsmith installed
    environment = {
        **os.environ,
        FOLDER: str(version),
        "FLAWSMITH_DATA_DIR": str(data_dir),
        "PYTHONPATH": str(source),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(name, port, peers_python),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches only this process, which stops the peers in order
        )
    body = '{"models": ["m"]}' if name == BENTOML else '{"model": "m"}'
    request = Load(f"http://127.0.0.1:{port}/generate", body)
    try:
        wait_until(lambda: _answers(process, request), START_SECONDS, f"{name} answers; its log: {log}")
        server = PeerServer(name, process.pid, request)
        server.pause()
        yield server
    finally:
        _stop(process)


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


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stops all processes of a peer: children of LitServe outlive their parent, those of BentoML have other groups."""
    tree = process_tree(process.pid)
    for pid in tree:
        os.kill(pid, signal.SIGCONT)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for pid in tree:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
