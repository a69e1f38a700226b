"""A data folder made by an earlier release is read: its datasets, jobs, checkpoints and published versions."""

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from tests.conftest import Service, start_service, stop_service, until

ARCHIVE = Path(__file__).with_name("b2444ae.tar.xz")
RENAMED_FIELDS = {"setbacks": "failures", "silences": "lost_workers", "findings": "analysis"}
RENAMED_SIGNALS = {"copies": "memorization_rate", "gap": "overfitting_r_v"}


@dataclass
class Upgraded:
    """A service of today on a data folder of the earlier release, and what that release answered."""

    service: Service
    expected: dict[str, Any]
    data_dir: Path


@pytest.fixture(scope="module", params=["redis kept", "redis wiped"])
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    data_dir = tmp_path_factory.mktemp("upgraded")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(data_dir, filter="data")
    expected = json.loads((data_dir / "expected.json").read_text())
    if request.param == "redis kept":
        fill_redis(data_dir, expected)
    service = start_service(data_dir)
    yield Upgraded(service, expected, data_dir)
    stop_service(service)


def fill_redis(data_dir: Path, expected: dict[str, Any]) -> None:
    """Leaves in the data folder the job records and indexes that the earlier release had in Redis."""
    environment = {"FLAWSMITH_DATA_DIR": str(data_dir)}
    server = subprocess.Popen([Path(sys.executable).with_name("flawsmith"), "redis"], env=environment)
    path = data_dir / "redis" / "redis.sock"
    until(path.exists, 20, "the embedded server listens")
    with redis.Redis(unix_socket_path=str(path)) as client:
        for key, record in expected["redis"].items():
            client.set(key, record)
            client.zadd(f"flawsmith:jobs:{json.loads(record)['state']}", {key.rsplit(":", 1)[1]: 0})
        client.set("flawsmith:jobs:restored", client.info("server")["run_id"])
    server.terminate()
    server.wait(10)


def of_today(value: Any, names: dict[str, str]) -> Any:
    """The same JSON under the field names of today."""
    if isinstance(value, dict):
        return {names.get(name, name): of_today(each, names) for name, each in value.items()}
    return [of_today(each, names) for each in value] if isinstance(value, list) else value


def test_datasets_are_as_they_were(upgraded: Upgraded) -> None:
    for dataset in upgraded.expected["datasets"]:
        found = upgraded.service.client.get(f"/datasets/{dataset['id']}").json()
        assert {name: found[name] for name in dataset} == dataset


def test_job_records_are_read_under_the_names_of_today(upgraded: Upgraded) -> None:
    for job_id, record in upgraded.expected["jobs"].items():
        found = upgraded.service.client.get(f"/training-jobs/{job_id}").json()
        expected = of_today(record, RENAMED_FIELDS)
        lasting = expected.keys() - {"progress", "losses", "health", "checkpoint_step", "config"}
        assert {name: found[name] for name in lasting} == {name: expected[name] for name in lasting}
    listed = {job["id"] for job in upgraded.service.client.get("/training-jobs").json()["items"]}
    assert set(upgraded.expected["jobs"]) <= listed


def test_histories_use_the_signal_names_of_today(upgraded: Upgraded) -> None:
    for model, job_id in upgraded.expected["resumable"].items():
        found = upgraded.service.client.get(f"/training-jobs/{job_id}/history").json()
        expected = of_today(upgraded.expected["histories"][model], RENAMED_SIGNALS)
        assert found["steps"] == expected["steps"]
        assert found["series"] == expected["series"]


def test_published_versions_keep_their_cards_and_their_images(upgraded: Upgraded) -> None:
    client = upgraded.service.client
    for reference, card in upgraded.expected["versions"].items():
        model, _, number = reference.partition("@")
        found = client.get(f"/models/{model}/versions/{number}").json()
        expected = of_today(card, RENAMED_FIELDS)
        assert {name: found[name] for name in expected.keys() - {"config"}} == {
            name: expected[name] for name in expected.keys() - {"config"}
        }
        body = {"model": reference, "count": 3, "seed": 0, "format": "npy"}
        pixels = np.load(io.BytesIO(client.post("/generate", json=body).content)).astype(int)
        earlier = np.load(upgraded.data_dir / "images" / f"{reference}.npy").astype(int)
        # Another kind of CPU may round differently: the bytes of an address are promised for one kind.
        assert np.abs(pixels - earlier).max() <= 1
        image = client.get(f"/models/{model}/versions/{number}/images/0.png")
        assert image.status_code == 200
        assert b"XML:com.adobe.xmp" not in image.content  # which images of that release had not


def means(array: bytes) -> list[float]:
    """The mean gray values of 16 images in an npy file, in hundredths."""
    return [round(each, 2) for each in np.load(io.BytesIO(array)).reshape(16, -1).mean(1).tolist()]


def test_images_of_earlier_versions_can_be_chosen_by_their_brightness(upgraded: Upgraded) -> None:
    client = upgraded.service.client
    for reference in upgraded.expected["versions"]:
        body: dict[str, Any] = {"model": reference, "count": 16, "seed": 0, "format": "npy"}
        values = means(client.post("/generate", json=body).content)
        middle = sorted(values)[8]
        answer = client.post("/generate", json={**body, "attributes": {"brightness": [middle, 255]}})
        assert answer.status_code == 200, answer.text
        assert min(values) < middle <= min(means(answer.content))


@pytest.mark.parametrize("model", ["few-long", "dc-long"])
def test_a_cancelled_job_resumes_from_its_checkpoint(upgraded: Upgraded, model: str) -> None:
    client = upgraded.service.client
    job_id = upgraded.expected["resumable"][model]
    saved_step = max(upgraded.expected["histories"][model]["steps"])
    assert client.post(f"/training-jobs/{job_id}/resume").status_code == 202
    job = upgraded.service.ended(job_id)
    assert job["state"] == "succeeded", job
    card = client.get(f"/models/{model}/versions/1").json()
    assert card["training_job"] == job_id
    log = upgraded.service.log.read_text()
    assert "damaged" not in log
    assert f"job {job_id}" in log
    steps = client.get(f"/training-jobs/{job_id}/history").json()["steps"]
    assert steps == sorted(steps) and steps[-1] > saved_step
