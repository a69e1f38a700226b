"""The whole API process without workers: which version a call is about, and what readiness says of the workers."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from flawsmith.app.main import create_app
from flawsmith.core.live.sampling_queue import Consumer
from flawsmith.core.live.task_queues import SAMPLE, TRAIN, announce, withdraw
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry, UnknownModel

CARD: dict[str, Any] = {
    "classes": ["pits"],
    "resolution": 32,
    "mode": "L",
    "preset": "dcgan",
    "config": {},
    "dataset_digest": "d",
    "weights_sha256": "w",
}


@pytest.fixture
def registry(redis_settings: Settings) -> Registry:
    return Registry(ArtifactStore(redis_settings.data_dir / "artifacts"))


@pytest.fixture
def client(redis_settings: Settings, registry: Registry) -> Iterator[TestClient]:
    with TestClient(create_app(redis_settings), base_url="http://127.0.0.1") as client:
        yield client
    registry.store.delete(registry.store.path("models"))


def publish(registry: Registry, job: str) -> None:
    with registry.store.staged() as staged:
        (staged / "generator.safetensors").write_bytes(b"weights")
        registry.publish("m", staged, training_job=job, **CARD)


def generate(client: TestClient, model: str) -> Any:
    body = {"model": model, "count": 1}
    return client.post("/generate?data=false", json=body, headers={"Accept": "application/json"}).json()


def test_a_call_is_about_the_version_that_its_reference_stands_for_now(client: TestClient, registry: Registry) -> None:
    assert generate(client, "m")["status"] == 404
    publish(registry, "job-1")
    assert generate(client, "m")["model"] == "m@1"
    assert client.put("/models/m/aliases/production", json={"version": 1}).status_code == 200
    publish(registry, "job-2")
    assert [generate(client, each)["model"] for each in ("m", "m@2")] == ["m@1", "m@2"]
    for version in (2, 1):  # at once, though this process remembers the reference
        client.put("/models/m/aliases/production", json={"version": version})
        assert generate(client, "m")["model"] == f"m@{version}"
    client.delete("/models/m/aliases/production")
    assert generate(client, "m")["model"] == "m@2"
    assert client.delete("/models/m/versions/2").status_code == 204
    assert generate(client, "m@2")["status"] == 404


def test_a_file_system_that_stalls_holds_up_nobody_else(
    client: TestClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, go_on = threading.Event(), threading.Event()

    def stall(self: Registry, reference: str) -> None:
        stalled.set()
        go_on.wait(20)
        raise UnknownModel(reference)

    monkeypatch.setattr(Registry, "resolve", stall)
    with ThreadPoolExecutor(2) as callers:
        waiting = callers.submit(generate, client, "m")
        assert stalled.wait(10)
        alive = callers.submit(client.get, "/healthz")
        try:
            assert alive.result(15).status_code == 200
        finally:
            go_on.set()
        assert waiting.result(10)["status"] == 404


def test_an_image_has_an_address_by_number_only(client: TestClient, registry: Registry) -> None:
    publish(registry, "job-1")
    client.put("/models/m/aliases/production", json={"version": 1})
    assert client.get("/models/m/versions/1/images/5.png").status_code == 503  # no worker makes it
    assert client.get("/models/m/versions/production/images/5.png").status_code == 404
    assert client.get("/models/m/versions/9/images/5.png").status_code == 404


def test_readyz_and_metrics_name_a_worker_that_fails_while_others_work(
    client: TestClient, empty_redis: redis.Redis
) -> None:
    for queue, worker in ((TRAIN, "train-1"), (SAMPLE, "sample-1"), (SAMPLE, "sample-2")):
        announce(empty_redis, queue, worker, "")
    failing = Consumer(empty_redis, "sample-1")
    failing.give_back("m@1", None, 60.0)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (200, [])
    assert answer.json()["warnings"] == ["worker sample-1 fails to sample m@1; its log has the reason"]
    assert 'flawsmith_failing_sampling_workers{model="m",version="1"} 1.0' in client.get("/metrics").text
    failing.recovered("m@1")
    assert "flawsmith_failing_sampling_workers{" not in client.get("/metrics").text
    failing.give_back("m@1", None, 60.0)
    withdraw(empty_redis, SAMPLE, "sample-1")
    assert "flawsmith_failing_sampling_workers{" not in client.get("/metrics").text
