"""Exports through the real API and worker: an archive to read, and one whose worker is killed on the way."""

import hashlib
import io
import json
import os
import re
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Service, until

COUNT = 25_000  # about 35 MB: two parts or more
SPLIT = {"train": 0.8, "val": 0.2}


def submit(service: Service, **body: Any) -> str:
    answer = service.client.post("/exports", json={"model": "two-types@1", **body})
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


def parts(service: Service, path: str) -> list[Path]:
    return list(service.data_dir.glob(f"artifacts/jobs/{path.rpartition('/')[2]}/checkpoints/*"))


@pytest.fixture(scope="module")
def undisturbed(service: Service, trained: dict[str, Any]) -> dict[str, Any]:
    """The record of an export that nothing disturbed."""
    job = service.job_ended(submit(service, count=COUNT, split=SPLIT), 150)
    assert job["state"] == "succeeded", job
    return job


def test_the_archive_holds_the_images_of_the_service(service: Service, trained: dict[str, Any]) -> None:
    path = submit(service, per_type={"dents": 20, "scratches": 7}, seed=3, split=SPLIT)
    job = service.job_ended(path, 150)
    assert (job["state"], job["archive"]) == ("succeeded", f"{path}/archive"), job
    assert job["progress"]["step"] == job["progress"]["total_steps"] == 27
    result = job["result"]
    assert (result["images"], result["types"]) == (27, {"dents": 20, "scratches": 7})
    answer = service.client.get(job["archive"])
    assert (len(answer.content), hashlib.sha256(answer.content).hexdigest()) == (result["bytes"], result["sha256"])
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert [each["seed"] for each in manifest["images"]] == [*range(3, 23), *range(3, 10)]
    for each in manifest["images"][::5]:
        assert each["file"] == f"{each['split']}/{each['defect_type']}/{each['seed']}.png"
        url = f"/models/two-types/versions/1/images/{each['seed']}.png?defect_type={each['defect_type']}"
        image = service.client.get(url).content
        assert archive.read(each["file"]) == image
        assert b"digitalsourcetype/trainedAlgorithmicMedia" in image
    rest = service.client.get(job["archive"], headers={"Range": "bytes=5000-"})
    assert (rest.status_code, rest.content) == (206, answer.content[5000:])
    until(lambda: parts(service, path) == [], 10, "the parts beside the archive are removed")
    assert service.client.delete(path).status_code == 204
    assert service.client.get(job["archive"]).status_code == 404


def test_attributes_are_those_of_the_images_of_the_service(service: Service, trained: dict[str, Any]) -> None:
    card = service.client.get("/models/two-types/versions/1").json()
    low = max(each[0] for each in card["attributes"]["brightness"]["samples"].values())
    asked = {"brightness": [round(low, 2), 255]}
    job = service.job_ended(submit(service, count=12, attributes=asked), 150)
    assert job["state"] == "succeeded", job
    archive = zipfile.ZipFile(io.BytesIO(service.client.get(job["archive"]).content))
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["attributes"] == asked and len(manifest["images"]) == 12
    for each in manifest["images"][::3]:
        assert each["attributes"] == asked
        url = f"/models/two-types/versions/1/images/{each['seed']}.png"
        query = {"defect_type": each["defect_type"], "brightness": f"{asked['brightness'][0]:g}..255"}
        assert archive.read(each["file"]) == service.client.get(url, params=query).content


def test_an_archive_of_generated_images_is_understood_when_it_is_uploaded(
    service: Service, trained: dict[str, Any]
) -> None:
    generated = service.client.post("/generate", json={"model": "two-types@1", "count": 6, "seed": 3, "format": None})
    assert generated.headers["content-type"] == "application/zip"
    dataset = service.upload("generated", generated.content).json()
    assert (dataset["classes"], dataset["rejected"]) == ({"dents": 3, "scratches": 3}, [])
    assert any(each.startswith("6 of 6 images say of themselves") for each in dataset["warnings"])


def test_a_killed_worker_leaves_the_same_bytes(service: Service, undisturbed: dict[str, Any]) -> None:
    path = submit(service, count=COUNT, split=SPLIT)
    until(lambda: parts(service, path), 60, "a part is published")
    os.kill(until(lambda: service.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
    job = service.job_ended(path, 150)
    assert job["state"] == "succeeded", job
    assert job["result"] == undisturbed["result"]
    archive = service.client.get(job["archive"]).content
    assert hashlib.sha256(archive).hexdigest() == undisturbed["result"]["sha256"]
    begun = [int(each) for each in re.findall(rf"job {job['id']}: claim \S+, from step (\d+)", service.log.read_text())]
    assert begun[0] == 0 < begun[-1], "it began anew after the kill"


def test_a_cancelled_export_resumes_where_it_was(service: Service, undisturbed: dict[str, Any]) -> None:
    path = submit(service, count=COUNT, split=SPLIT)
    until(lambda: service.client.get(path).json()["progress"]["step"] > 0, 60, "it makes images")
    assert service.client.post(f"{path}/cancel").status_code == 202
    until(lambda: not service.has_lease(path.rpartition("/")[2]), 20, "the worker leaves it")
    assert service.client.get(f"{path}/archive").status_code == 404
    assert service.client.post(f"{path}/resume").status_code == 202
    events = service.client.get(f"{path}/events").text
    assert re.findall(r'"state": "(\w+)"', events)[-1] == "succeeded"
    assert service.client.get(path).json()["result"] == undisturbed["result"]
