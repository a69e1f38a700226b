"""`flawsmith api` as a process: its descriptors, its memory, its files, and whose addresses it believes."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from tests.conftest import free_port, photograph, until, zipped

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry

DESCRIPTORS = 256


@dataclass
class Api:
    process: subprocess.Popen[bytes]
    client: httpx2.Client
    port: int
    log: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def memory(self) -> int:
        """Resident, in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running(data_dir: Path, log: Path, limit: Callable[[], None] | None = None, **settings: str) -> Iterator[Api]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLAWSMITH_")}
    environment |= {"FLAWSMITH_DATA_DIR": str(data_dir), "FLAWSMITH_PORT": str(port), "FLAWSMITH_API_PROCESSES": "1"}
    environment |= {f"FLAWSMITH_{name.upper()}": value for name, value in settings.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flawsmith.cli.main", "api"],
            env=environment, stdout=output, stderr=output, preexec_fn=limit,
        )  # fmt: skip
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        until(lambda: client.get("/healthz").status_code == 200, 30, "the API answers")
        yield Api(process, client, port, log)
    process.terminate()
    process.wait(30)


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


@pytest.fixture(scope="module")
def api(redis_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that may open `DESCRIPTORS` files."""
    with running(redis_server, tmp_path_factory.mktemp("api") / "log", _few_descriptors) as found:
        yield found


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
HALF_BODY = (
    b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)


@pytest.mark.parametrize("sent", [b"", GET, GET + b"\r\n", HALF_BODY])
def test_more_connections_than_descriptors_leave_room_for_an_honest_client(api: Api, sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(DESCRIPTORS + 100):
            stack.enter_context(api.connect()).sendall(sent)
        slowest = 0.0
        for _ in range(20):
            begun = time.monotonic()
            assert httpx2.get(f"http://127.0.0.1:{api.port}/readyz", timeout=20).status_code in (200, 503)
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 9  # an idle connection is closed after ten seconds anyway
    assert "Too many open files" not in api.log.read_text()


def test_headers_without_end_take_no_memory(api: Api) -> None:
    before = api.memory()
    for start in (b"X: ", b"", b"X: y\r\n" * 1000):
        with api.connect() as client, suppress(ConnectionError):
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + start)
            for _ in range(64):
                client.sendall(b"a" * 1024 * 1024)
    assert api.memory() - before < 20 * 1024 * 1024


def test_an_answer_is_not_held_up_by_a_long_accept_header_or_many_unknown_keys(api: Api) -> None:
    accept = {"Accept": "image/png," + "a/b;q=0.1," * 5_000}
    body: dict[str, Any] = {f"k{number}": 1 for number in range(60_000)}
    begun = time.monotonic()
    assert api.client.post("/generate", json={"model": "x"}, headers=accept).status_code == 404
    assert api.client.post("/generate", json=body).status_code == 422
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize(
    ("proxies", "statuses"),
    [("", [200, 429, 429]), ("10.0.0.0/8", [200, 429, 429]), ("127.0.0.1", [200, 200, 200])],
)
def test_a_made_up_address_is_believed_of_trusted_proxies_only(
    redis_server: Path, empty_redis: redis.Redis, tmp_path: Path, proxies: str, statuses: list[int]
) -> None:
    publish(tmp_path)
    socket_path = redis_server / "redis" / "redis.sock"
    settings = {"trusted_proxies": proxies, "caller_images_per_second": "1", "redis_url": f"unix://{socket_path}"}
    with running(tmp_path, tmp_path / "log", **settings) as api:
        answers = [
            api.client.post(
                "/generate?data=false",
                json={"model": "steel", "count": 60},
                headers={"X-Forwarded-For": f"203.0.113.{number}", "Accept": "application/json"},
            )
            for number in range(3)
        ]
    assert [answer.status_code for answer in answers] == statuses
    for refused in (answer for answer in answers if answer.status_code == 429):
        assert "1 images a second on average" in refused.json()["detail"]
        assert 1 <= int(refused.headers["retry-after"]) <= 59


def publish(data_dir: Path) -> None:
    """A version whose addresses can be given out; nothing samples its images."""
    store = ArtifactStore(data_dir / "artifacts")
    with store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(b"")
        card: dict[str, Any] = {"classes": ["scratches"], "resolution": 32, "mode": "L", "preset": "dcgan"}
        origin = {"config": {}, "training_job": "job-1", "dataset_digest": "d", "weights_sha256": "w"}
        Registry(store).publish("steel", staged, **card, **origin)


def test_what_the_api_stores_is_for_its_user_only(redis_server: Path, tmp_path: Path) -> None:
    socket_path = redis_server / "redis" / "redis.sock"
    with running(tmp_path, tmp_path / "log", redis_url=f"unix://{socket_path}") as api:
        files = {f"pits/{number}.png": photograph(number) for number in range(3)}
        uploaded = api.client.post("/datasets", data={"name": "set"}, files={"archive": zipped(files)})
        assert uploaded.status_code == 201
    artifacts = [tmp_path / "artifacts", *(tmp_path / "artifacts").rglob("*")]
    assert len(artifacts) > 5
    assert {path.name: oct(path.stat().st_mode & 0o077) for path in artifacts if path.stat().st_mode & 0o077} == {}
