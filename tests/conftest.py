"""Fixtures and helpers for all tests: running services, Redis, and files of photographs."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import redis
from PIL import Image

from flawsmith.core.live import keys, task_queues
from tests.s3_server import s3_server

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: threads of several test processes wait for one another

SMALL_JOB = {
    "preset": "dcgan",
    "resolution": 32,
    "steps": 6,
    "overrides": {"generator_depth": 4, "discriminator_depth": 4, "batch_size": 4},
}


PrintFigure = Callable[[str], None]

PATIENCE = 3  # a second of an idle machine may be as many of one that other tests use too


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Waits until a condition is true and returns its value. Fails the test after ``seconds`` of an idle machine."""
    deadline = time.monotonic() + PATIENCE * seconds
    while time.monotonic() < deadline:
        try:
            value = condition()
        except httpx2.HTTPError:
            value = None
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {PATIENCE * seconds:g} s: {what}")


def photograph(seed: int = 0, side: int = 40, format: str = "PNG", mode: str = "L") -> bytes:
    """The file of a picture of noise; each seed gives another picture."""
    random = np.random.default_rng(seed)
    shape = (side, side) if mode == "L" else (side, side, 3)
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(buffer, format)
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-faults",
        action="store_true",
        help="run tests/faults and tests/fuzz at full length, as `make faults` and `make fuzz` do",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects tests that only the full length adds, and skips tests that need a GPU where there is none."""
    if not config.getoption("--full-faults"):
        dropped = [item for item in items if item.get_closest_marker("full_faults")]
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)
    for item in items:
        if item.get_closest_marker("gpu") and not _cuda_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


def _cuda_available() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a skipped test fails: .ci/run installs what the tests need, and deselects what cannot run there."""
    report = yield
    if isinstance(report.longrepr, tuple) and os.environ.get("CI") == "true":  # (path, line, reason) of a skip
        report.outcome, report.longrepr = "failed", f"skipped, which fails with CI=true: {report.longrepr[2]}"
    return report


@dataclass
class Service:
    """A running `flawsmith serve`."""

    process: subprocess.Popen[bytes]
    client: httpx2.Client
    data_dir: Path
    log: Path
    environment: dict[str, str]

    def ready(self) -> bool:
        return self.client.get("/readyz").status_code == 200

    def pid(self, *part: str) -> int | None:
        """The process of a part of the service, such as ("worker", "train"); None if it is not running."""
        for process in self.descendants():
            words = _command_line(process)
            if words[-len(part) :] == list(part) or (part == ("redis",) and words and "valkey" in words[0]):
                return process
        return None

    def descendants(self) -> list[int]:
        """The processes that `flawsmith serve` supervises."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for children in tasks for pid in children.read_text().split()]

    def train(self, dataset: str, model: str, **body: Any) -> dict[str, Any]:
        """Submits `SMALL_JOB`, with changes, and waits for its end; returns the record of the job."""
        answer = self.client.post("/training-jobs", json={"dataset": dataset, "model": model, **SMALL_JOB, **body})
        assert answer.status_code == 202, answer.text
        return self.ended(answer.json()["id"])

    def ended(self, job: str) -> dict[str, Any]:
        """Waits until the training job ends; returns its record."""
        return self.job_ended(f"/training-jobs/{job}", 60)

    def job_ended(self, path: str, seconds: float) -> dict[str, Any]:
        """Waits until a job of any kind ends; returns its record."""

        def over() -> dict[str, Any] | None:
            record = self.client.get(path).json()
            return record if record["state"] in ("succeeded", "failed", "cancelled") else None

        return dict(until(over, seconds, f"{path} ends"))

    @property
    def redis(self) -> redis.Redis:
        """A client of the embedded Redis server."""
        return redis.Redis(unix_socket_path=str(self.data_dir / "redis" / "redis.sock"))

    def has_lease(self, job: str) -> bool:
        """Whether a worker holds the lease of the job."""
        return bool(self.redis.exists(keys.job_lease(job)))

    def upload(self, name: str, archive: bytes) -> httpx2.Response:
        return self.client.post("/datasets", data={"name": name}, files={"archive": archive})


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []


def start_service(data_dir: Path, **settings: str) -> Service:
    """Starts `flawsmith serve` on a free port and waits until it is ready.

    Args:
        data_dir: its data folder, made if it is missing.
        settings: further settings by their names without the prefix, such as ``segment_seconds="1"``.
    """
    port = free_port()
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "serve.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLAWSMITH_")}
    environment |= {
        "FLAWSMITH_PORT": str(port),
        "FLAWSMITH_DATA_DIR": str(data_dir),
        "FLAWSMITH_THREADS": "1",
        "FLAWSMITH_DEVICE": "cpu",  # tests compare bytes, which only the CPU promises
        "FLAWSMITH_TRAIN_NICENESS": "5",  # more would starve jobs beside other tests
        "FLAWSMITH_REPORTS": "false",  # the jobs of tests would wait for one another's reports
        **{f"FLAWSMITH_{name.upper()}": value for name, value in settings.items()},
    }
    command = [Path(sys.executable).with_name("flawsmith"), "serve"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=data_dir)
    service = Service(
        process, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60), data_dir, log, environment
    )
    try:
        until(service.ready, 60, "the service is ready")
    except BaseException:
        process.kill()
        print(log.read_text())
        raise
    return service


def stop_service(service: Service) -> None:
    service.client.close()
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(120)


@pytest.fixture
def lasting_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that a test announces stays live for ten minutes, on a slow machine too."""
    monkeypatch.setattr(task_queues, "LIVE_SECONDS", 600.0)


@pytest.fixture(scope="session")
def full_length(request: pytest.FixtureRequest) -> bool:
    """Whether every fault lasts its full time (`--full-faults`)."""
    return bool(request.config.getoption("--full-faults"))


@pytest.fixture
def print_figure(capsys: pytest.CaptureFixture[str]) -> PrintFigure:
    """Prints a figure although pytest captures the output."""

    def uncaptured(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {text}")

    return uncaptured


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The shared service, for tests that use names of their own for datasets and models and leave it working."""
    running = start_service(tmp_path_factory.mktemp("service"))
    yield running
    stop_service(running)


@pytest.fixture(scope="session")
def trained(service: Service) -> dict[str, Any]:
    """The model `two-types` of the shared service; the value is the record of its training job."""
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(5)}
    assert service.upload("two-types", zipped(files)).status_code == 201
    job = service.train("two-types", "two-types")
    assert job["state"] == "succeeded", job
    return job


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An embedded Redis server without a service; the value is its data folder."""
    data_dir = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen(
        [sys.executable, "-m", "flawsmith.cli.main", "redis"], env={**os.environ, "FLAWSMITH_DATA_DIR": str(data_dir)}
    )
    until((data_dir / "redis" / "redis.sock").exists, 20, "the embedded server listens")
    yield data_dir
    process.terminate()
    process.wait(10)


@pytest.fixture
def empty_redis(redis_server: Path) -> Iterator[redis.Redis]:
    """A client of that server, which is empty."""
    with redis.Redis(unix_socket_path=str(redis_server / "redis" / "redis.sock")) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of an S3 server with a bucket; see `tests.s3_server`."""
    with s3_server() as address:
        yield address
