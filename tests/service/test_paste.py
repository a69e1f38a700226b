"""The preset `paste` through the real API and workers: five photographs become a version that needs no training."""

import base64
import io
import json
import os
import signal
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped
from tests.worker.compositions.material import clean_files, defect_files

JSON = {"Accept": "application/json"}
BODY = {"dataset": "annotated", "model": "pasted", "preset": "paste", "resolution": 32}


@pytest.fixture(scope="module")
def pasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with `annotated`, five photographs of each of two types with masks and clean ones, and `plain`."""
    service = start_service(tmp_path_factory.mktemp("paste"), segment_seconds="1")
    assert service.upload("annotated", zipped(defect_files(5) | clean_files())).status_code == 201
    assert service.upload("plain", zipped({f"{number}.png": photograph(number) for number in range(5)})).is_success
    yield service
    stop_service(service)


@pytest.fixture(scope="module")
def job(pasting: Service) -> dict[str, Any]:
    """The record of the job that published `pasted@1`."""
    return pasted(pasting)


def pasted(service: Service, **body: Any) -> dict[str, Any]:
    answer = service.client.post("/training-jobs", json=BODY | body)
    assert answer.status_code == 202, answer.text
    ended = service.job_ended(f"/training-jobs/{answer.json()['id']}", 150)
    assert ended["state"] == "succeeded", ended
    return ended


def pixels(file: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(file)))


def generated(service: Service, **body: Any) -> list[dict[str, Any]]:
    answer = service.client.post("/generate", json={"model": "pasted@1", **body}, headers=JSON)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["images"])


def test_a_job_publishes_a_version_like_any_other(pasting: Service, job: dict[str, Any]) -> None:
    assert (job["produced"], job["stop_reason"]) == ("pasted@1", "completed")
    assert job["progress"]["step"] == job["progress"]["total_steps"] == 10
    card = pasting.client.get("/models/pasted/versions/1").json()
    assert (card["preset"], card["labels"], card["digital_source_type"]) == ("paste", "mask", "compositeCapture")
    assert card["verdict"]["sentence"].startswith("Made of your photographs: ")
    assert card["verdict"]["state"] != "failing", card["verdict"]
    assert pasting.client.get("/models/pasted").json()["serves"] == 1
    path = f"/training-jobs/{job['id']}"
    assert pasting.client.get(f"{path}/history").json() == {"steps": [], "series": {}}
    assert pasting.client.get(f"{path}/samples/latest.png").status_code == 200
    assert '"state": "succeeded"' in pasting.client.get(f"{path}/events").text


def test_its_weights_are_missing_with_the_reason(pasting: Service, job: dict[str, Any]) -> None:
    answer = pasting.client.get("/models/pasted/versions/1/weights.safetensors")
    assert answer.status_code == 404
    assert "made of your photographs" in answer.json()["detail"]


def test_images_come_with_the_masks_of_what_was_placed(pasting: Service, job: dict[str, Any]) -> None:
    for each in generated(pasting, seed=7, count=12, labels="mask"):
        image, mask = pixels(base64.b64decode(each["data"])), pixels(base64.b64decode(each["mask"])) > 0
        assert image.shape == mask.shape == (32, 32)
        assert (image[mask] < 125).mean() > 0.8, "the mask marks the dark defect …"
        assert (image[~mask] > 125).mean() > 0.98, "… and all of it"
        [(left, top, right, bottom)] = each["boxes"]
        rows, columns = np.nonzero(mask)
        assert (left, top) == (columns.min(), rows.min())
        assert (right, bottom) == (columns.max() + 1, rows.max() + 1)
        url = f"/models/pasted/versions/1/images/{each['seed']}"
        of_type = {"defect_type": each["defect_type"]}
        assert pasting.client.get(f"{url}/mask.png", params=of_type).content == base64.b64decode(each["mask"])
        png = pasting.client.get(f"{url}.png", params=of_type).content
        assert png == base64.b64decode(each["data"])
        assert b"digitalsourcetype/compositeCapture" in png
        assert Image.open(io.BytesIO(png)).text["Synthetic"] == "true"  # type: ignore[attr-defined]


def test_an_address_is_the_same_bytes_in_any_batch_and_after_a_restart(pasting: Service, job: dict[str, Any]) -> None:
    many = generated(pasting, seed=2**40, count=20)
    os.kill(until(lambda: pasting.pid("worker", "sample"), 10, "the worker runs"), signal.SIGKILL)
    pasting.redis.flushall()
    until(pasting.ready, 60, "the service is ready again")
    for each in many[::7]:
        [again] = generated(pasting, seed=each["seed"], defect_type=each["defect_type"])
        assert again["data"] == each["data"]


def test_a_cancelled_job_resumes_a_killed_one_begins_again_and_it_publishes_the_same(
    pasting: Service, job: dict[str, Any]
) -> None:
    path = pasting.client.post("/training-jobs", json=BODY | {"model": "killed"}).headers["location"]
    assert pasting.client.post(f"{path}/cancel").status_code == 202
    until(lambda: not pasting.has_lease(path.rpartition("/")[2]), 30, "no worker has it")
    assert pasting.client.post(f"{path}/resume").status_code == 202
    until(lambda: pasting.client.get(path).json()["progress"]["step"] > 0, 60, "it cuts defects out")
    os.kill(until(lambda: pasting.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
    assert pasting.job_ended(path, 150)["state"] == "succeeded"
    assert pasting.client.get("/models/killed").json()["versions"] == [1]
    cards = [pasting.client.get(f"/models/{name}/versions/1").json() for name in ("pasted", "killed")]
    assert cards[0]["weights_sha256"] == cards[1]["weights_sha256"]
    url = "versions/1/images/3.png?defect_type=pits"
    images = [pixels(pasting.client.get(f"/models/{name}/{url}").content) for name in ("pasted", "killed")]
    assert (images[0] == images[1]).all()


def test_attributes_copies_and_nearest_photographs(pasting: Service, job: dict[str, Any]) -> None:
    card = pasting.client.get("/models/pasted/versions/1").json()
    assert {"brightness"} <= set(card["attributes"]) <= {"brightness", "severity"}
    low, high = card["attributes"]["brightness"]["samples"]["pits"]
    asked = {"attributes": {"brightness": [low, high]}, "defect_type": "pits", "labels": "mask"}
    for each in generated(pasting, count=3, **asked):
        assert low - 0.1 <= pixels(base64.b64decode(each["data"])).mean() <= high + 0.1
    slanted = {"model": "pasted@1", "attributes": {"angle": [0, 30]}}
    assert pasting.client.post("/generate", json=slanted).status_code == 422
    answer = pasting.client.post(
        "/generate?nearest=true", json={"model": "pasted@1", "count": 4, "max_similarity": 0.99}, headers=JSON
    )
    assert answer.status_code == 200, answer.text
    assert all(each["nearest"]["file"] for each in answer.json()["images"])


def test_an_export_has_a_record_for_each_defect(pasting: Service, job: dict[str, Any]) -> None:
    answer = pasting.client.post("/exports", json={"model": "pasted@1", "count": 10, "layout": "coco"})
    assert answer.status_code == 202, answer.text
    ended = pasting.job_ended(answer.headers["location"], 60)
    assert ended["state"] == "succeeded", ended
    content = pasting.client.get(f"{answer.headers['location']}/archive").content
    archive = zipfile.ZipFile(io.BytesIO(content))
    [instances] = [name for name in archive.namelist() if "instances" in name]
    found = json.loads(archive.read(instances))
    assert len(found["images"]) == len(found["annotations"]) == 10


def test_the_report_is_made_without_walks(pasting: Service, job: dict[str, Any]) -> None:
    path = "/models/pasted/versions/1/report"
    assert pasting.client.post(path).status_code == 202
    until(lambda: pasting.client.get(path).status_code == 200, 150, "the report is there")
    report = pasting.client.get(path).json()
    assert report["verdict"]["sentence"].startswith("Made of your photographs")
    page = pasting.client.get(f"{path}.html").text
    assert "Walks between samples" not in page
    assert "Nothing was trained" in page


def test_it_passes_the_gate_of_production(pasting: Service, job: dict[str, Any]) -> None:
    answer = pasting.client.put("/models/pasted/aliases/production", json={"version": 1})
    assert answer.status_code == 200, answer.text
    assert pasting.client.delete("/models/pasted/aliases/production").status_code == 204


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"dataset": "plain"}, "/dataset", "upload them with masks, outlines or boxes"),
        ({"init_from": "pasted@1"}, "/init_from", "trains nothing"),
        ({"start": "prior"}, "/start", "trains nothing"),
        ({"resolution": 48}, "/resolution", "makes images of 32, 64, 128, 256"),
        ({"crop": {"around": "middle"}}, "/crop", "leave 'crop' out"),
        ({"overrides": {"per_image": [3, 1]}}, "/overrides", "[low, high]"),
        ({"overrides": {"batch_size": 4}}, "/overrides/batch_size", "per_image"),
        ({"preset": "fewshot", "init_from": "pasted@1"}, "/init_from", "no weights to start from"),
        ({"resolution": 256}, "/dataset", "good"),
    ],
)
def test_what_it_cannot_do_is_refused_in_words(
    pasting: Service, job: dict[str, Any], body: dict[str, Any], pointer: str, words: str
) -> None:
    answer = pasting.client.post("/training-jobs", json=BODY | body)
    assert answer.status_code == 422, answer.text
    [problem] = answer.json()["errors"]
    assert (problem["pointer"], words in problem["detail"]) == (pointer, True), problem


def test_what_only_training_has_is_not_used_and_said(pasting: Service) -> None:
    body = BODY | {"steps": 100, "max_seconds": 60, "labels": "mask"}
    dry = pasting.client.post("/training-jobs?dry_run=true", json=body).json()
    assert dry["notes"] == [
        "preset 'paste' trains nothing: 'steps' and 'max_seconds' not used",
        "images of preset 'paste' have masks in any case: 'labels' not used",
    ]
    assert (dry["config"]["total_steps"], dry["config"]["max_seconds"]) == (10, None)
    assert "trains no networks" in dry["estimate"]["based_on"]


def test_labels_and_evaluations_that_would_train_are_refused_in_words(pasting: Service, job: dict[str, Any]) -> None:
    answer = pasting.client.post("/models/pasted/versions/1/labels", json={})
    assert (answer.status_code, "exact masks" in answer.json()["detail"]) == (409, True)
    body = {"dataset": "annotated", "per_type": [2]}
    answer = pasting.client.post("/models/pasted/versions/1/evaluations", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/retrain")
    answer = pasting.client.post("/models/pasted/versions/1/evaluations", json=body | {"retrain": False})
    assert answer.status_code == 202, answer.text
    pasting.client.post(f"{answer.headers['location']}/cancel")
    body = {"model": "pasted@1", "background": "annotated", "source": "generated", "count": 2}
    answer = pasting.client.post("/compositions", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/source")
