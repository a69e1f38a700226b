"""Datasets of an earlier release: read, and trained on as before. One process, no workers."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import torch
from starlette.testclient import TestClient

from flawsmith.app.main import create_app
from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.worker.run_checkpoint import load_or_resume
from tests.compatibility.test_earlier_release import ARCHIVE
from tests.conftest import photograph, zipped


@pytest.fixture
def settings(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Settings:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def expected(settings: Settings) -> dict[str, Any]:
    return dict(json.loads((settings.data_dir / "expected.json").read_text()))


def test_they_are_listed_without_a_layout_and_trained_on_as_before(
    client: TestClient, expected: dict[str, Any]
) -> None:
    for dataset in expected["datasets"]:
        found = client.get(f"/datasets/{dataset['name']}").json()
        assert {name: found[name] for name in dataset} == dataset
        assert (found["layout"], found["crop"], found["crops"]) == (None, "middle", {})
        assert client.get(f"/datasets/{dataset['id']}/preview.png").status_code == 200
        job = client.post("/training-jobs", json={"dataset": dataset["id"], "model": "m"})
        assert (job.status_code, job.json()["config"]["crop"]) == (202, {"around": "middle"})


def test_their_names_are_taken_and_can_be_replaced(client: TestClient, expected: dict[str, Any]) -> None:
    dataset = expected["datasets"][0]
    files = {"archive": zipped({f"{i}.png": photograph(7000 + i) for i in range(3)})}
    refused = client.post("/datasets", data={"name": dataset["name"]}, files=files)
    assert refused.status_code == 409 and dataset["id"] in refused.json()["detail"]
    assert client.get(f"/datasets/{dataset['name']}").json()["id"] == dataset["id"]
    replaced = client.post("/datasets", data={"name": dataset["name"], "replace": "true"}, files=files)
    assert replaced.status_code == 201
    assert client.get(f"/datasets/{dataset['name']}").json()["id"] == replaced.json()["id"] != dataset["id"]


def test_photographs_can_be_added_to_them(settings: Settings, client: TestClient, expected: dict[str, Any]) -> None:
    services = Services(settings)
    for dataset in expected["datasets"]:
        before = services.datasets.load(dataset["id"], 32)
        name = next(iter(dataset["classes"]))
        more = {f"{name}/{i}.png": photograph(8000 + i) for i in range(2)}
        answer = client.post(f"/datasets/{dataset['name']}/photographs", files={"archive": zipped(more)})
        assert answer.status_code == 201, answer.text
        child = answer.json()
        assert (child["parent"], child["image_count"]) == (dataset["id"], dataset["image_count"] + 2)
        after = services.datasets.load(child["id"], 32)
        assert (after.pixels[: len(before.pixels)] == before.pixels).all()
        assert after.files[: len(before.files)] == before.files
        assert client.delete(f"/datasets/{dataset['id']}").status_code in (204, 409)


def test_a_job_finds_its_checkpoint(settings: Settings, expected: dict[str, Any]) -> None:
    services = Services(settings)
    for model, job_id in expected["resumable"].items():
        job: Any = services.jobs.get(job_id)
        run = load_or_resume(job, services, torch.device("cpu"), threads=1)
        assert run.step >= max(expected["histories"][model]["steps"]) > 0
