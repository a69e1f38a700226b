"""A sampling worker that fails beside one that works: callers do not notice, operators do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

NO_SUCH_DEVICE = "cuda:99"  # every generator fails to load there


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Service]:
    """A service with a model and a second sampling worker that fails."""
    service = start_service(tmp_path / "data")
    service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(4)}))
    assert service.train("set", "model")["state"] == "succeeded"
    environment = service.environment | {"FLAWSMITH_DEVICE": NO_SUCH_DEVICE}
    command = [sys.executable, "-m", "flawsmith.cli.main", "worker", "sample"]
    with (tmp_path / "failing.log").open("wb") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    targets = "/metrics/targets"
    until(
        lambda: sum(each["labels"]["queue"] == "sample" for each in service.client.get(targets).json()) == 2,
        60,
        "both sampling workers are live",
    )
    yield service
    worker.terminate()
    worker.wait(20)
    stop_service(service)


def test_callers_get_their_images_and_readyz_and_metrics_name_the_worker(fleet: Service) -> None:
    def sample(seed: int) -> list[str]:
        answer = fleet.client.post("/generate", json={"model": "model@1", "count": 8, "seed": seed})
        assert answer.status_code == 200, answer.text
        return list(fleet.client.get("/readyz").json()["warnings"])

    seeds = iter(range(0, 100_000, 8))
    [warning] = until(lambda: sample(next(seeds)), 60, "the failing worker has had a micro-batch")
    assert warning.endswith("fails to sample model@1; its log has the reason")
    assert fleet.ready()
    assert 'flawsmith_failing_sampling_workers{model="model",version="1"} 1.0' in fleet.client.get("/metrics").text
    for _ in range(20):
        assert len(sample(next(seeds))) == 1
    until(
        lambda: fleet.client.post("/generate", json={"model": "model@1"}).headers["x-stock"] == "hit",
        30,
        "the pool is refilled and kept",
    )
