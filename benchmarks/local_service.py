"""Runs `flawsmith serve` on this machine for a benchmark."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

START_SECONDS, STOP_SECONDS = 60.0, 30.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class LocalService:
    """A running service: the process of `flawsmith serve`, and a client of its API."""

    process: subprocess.Popen[bytes]
    client: httpx2.Client
    data_dir: Path
    log: Path
    environment: dict[str, str]  # of its processes

    def ready(self) -> bool:
        return self.client.get("/readyz").status_code == 200

    def pid(self, *command: str) -> int | None:
        """The process of a part of the service: "api", "worker" "train", "worker" "sample" or "redis"."""
        for pid in self._children():
            words = _command_line(pid)
            if words[-len(command) :] == list(command) or (command == ("redis",) and words and "valkey" in words[0]):
                return pid
        return None

    def upload(self, name: str, archive: bytes) -> None:
        """Makes a dataset of an archive. Raises httpx2.HTTPStatusError."""
        self.client.post("/datasets", data={"name": name}, files={"archive": archive}).raise_for_status()

    def _children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for children in tasks for pid in children.read_text().split()]


@contextmanager
def local_service(
    data_dir: Path, variables: Mapping[str, str] | None = None, **settings: str
) -> Iterator[LocalService]:
    """A service that is ready, on a free port and the CPU, without automatic reports; it is stopped at the end.

    Args:
        data_dir: its data folder, made if it is missing.
        variables: further environment variables of its processes.
        settings: further settings by their names without the prefix, such as ``threads="1"``.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), data_dir / "serve.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLAWSMITH_")}
    # A report that follows a training would use the cores while something else is measured.
    chosen = {"port": str(port), "data_dir": str(data_dir), "device": "cpu", "reports": "false", **settings}
    environment |= {f"FLAWSMITH_{name.upper()}": value for name, value in chosen.items()} | dict(variables or {})
    command = [sys.executable, "-m", "flawsmith.cli.main", "serve"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        service = LocalService(process, client, data_dir, log, environment)
        try:
            wait_until(service.ready, START_SECONDS, f"the service is ready; its log: {log}")
            yield service
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Waits until a condition is true and returns its value; an HTTP error counts as false.

    Raises:
        TimeoutError: the condition did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            value = condition()
        except httpx2.HTTPError:
            value = None
        if value:
            return value
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"not within {seconds:g} s: {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []
