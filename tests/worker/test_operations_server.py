"""A worker's /healthz, /readyz and metrics."""

from collections.abc import Iterator

import httpx2
import pytest

from flawsmith.worker import operations_server
from flawsmith.worker.operations_server import Heartbeat, serve_operations


@pytest.fixture
def heartbeat() -> Heartbeat:
    return Heartbeat()


@pytest.fixture(params=["127.0.0.1", "::1"])
def client(heartbeat: Heartbeat, request: pytest.FixtureRequest) -> Iterator[httpx2.Client]:
    port = serve_operations(heartbeat, request.param, 0)
    host = f"[{request.param}]" if ":" in request.param else request.param
    with httpx2.Client(base_url=f"http://{host}:{port}") as client:
        yield client


def test_a_worker_is_ready_while_redis_accepts_its_heartbeats(
    client: httpx2.Client, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/readyz").status_code == 503
    heartbeat.accepted()
    assert (client.get("/readyz").status_code, client.get("/readyz").json()["missing"]) == (200, [])
    monkeypatch.setattr(operations_server, "LIVE_SECONDS", 0.0)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"][0].startswith("redis")


def test_a_worker_that_is_not_ready_is_alive_and_has_metrics(client: httpx2.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "process_cpu_seconds_total" in answer.text
