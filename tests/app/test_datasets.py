"""Datasets over HTTP, in one process with an embedded Redis and without workers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import redis
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped
from tests.core.store import trees

from flawsmith.app.main import create_app
from flawsmith.core.settings import Settings

DENTS = {f"dents/{i}.png": photograph(i) for i in range(3)}
PITS = {f"pits/{i}.png": photograph(10 + i) for i in range(4)}


@pytest.fixture
def client(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Iterator[TestClient]:
    """A client of the whole application, on an artifact store of its own."""
    settings = Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock")
    with TestClient(create_app(settings), base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


def upload(client: TestClient, name: str, files: dict[str, bytes], **fields: str) -> httpx2.Response:
    return client.post("/datasets", data={"name": name, **fields}, files={"archive": zipped(files)})


def test_a_name_means_one_dataset(client: TestClient) -> None:
    first = upload(client, "steel", DENTS).json()
    refused = upload(client, "steel", PITS)
    assert refused.status_code == 409
    problem = refused.json()
    assert first["id"] in problem["detail"] and "3 of 'dents'" in problem["detail"]
    assert "replace=true" in problem["detail"]
    assert client.get("/datasets/steel").json() == first


def test_replace_gives_the_name_other_content(client: TestClient) -> None:
    first = upload(client, "steel", DENTS).json()
    answer = upload(client, "steel", PITS, replace="true")
    assert answer.status_code == 201
    assert client.get("/datasets/steel").json() == answer.json()
    assert client.get(f"/datasets/{first['id']}").status_code == 404
    assert len(client.get("/datasets").json()["items"]) == 1


def test_replace_with_the_same_content_changes_nothing(client: TestClient) -> None:
    first = upload(client, "steel", DENTS).json()
    again = upload(client, "steel", DENTS, replace="true")
    assert (again.status_code, again.json()) == (200, first)


def test_a_dataset_that_a_queued_job_uses_is_not_replaced(client: TestClient) -> None:
    first = upload(client, "steel", DENTS).json()
    job = client.post("/training-jobs", json={"dataset": "steel", "model": "steel"})
    assert job.status_code == 202, job.text
    refused = upload(client, "steel", PITS, replace="true")
    assert refused.status_code == 409
    assert job.json()["id"] in refused.json()["detail"]
    assert client.get("/datasets/steel").json() == first


def test_a_word_for_replace_that_is_neither_true_nor_false_is_refused(client: TestClient) -> None:
    answer = upload(client, "steel", DENTS, replace="yes")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/replace"


def test_equal_content_under_two_names_is_two_datasets(client: TestClient) -> None:
    first, second = upload(client, "one", DENTS), upload(client, "two", DENTS)
    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.json()["name"], second.json()["name"]) == ("one", "two")
    assert first.json()["id"] != second.json()["id"]
    assert client.delete("/datasets/one").status_code == 204
    assert client.get("/datasets/two").json() == second.json()
    assert client.get("/datasets/two/preview.png").status_code == 200


def test_a_mended_upload_has_its_own_rejected_files(client: TestClient) -> None:
    first: dict[str, Any] = upload(client, "steel", {**DENTS, "dents/x.png": b"broken"}).json()
    assert [each["file"] for each in first["rejected"]] == ["dents/x.png"]
    mended = upload(client, "steel", DENTS)
    assert (mended.status_code, mended.json()["id"]) == (200, first["id"])
    assert mended.json()["rejected"] == client.get("/datasets/steel").json()["rejected"] == []


def test_the_answer_says_what_was_understood_of_the_layout(client: TestClient) -> None:
    dataset = upload(client, "bottle", trees.mvtec()).json()
    notes = dataset["layout"].pop("notes")
    assert dataset["layout"] == {
        "kind": "mvtec",
        "photographs": 6,
        "masks": 6,
        "boxes": 0,
        "clean": 6,
        "splits": {"test": 8, "train": 4},
        "size_of_defects": {"median": 4.0, "min": 4.0},
    }
    assert "'test'" in notes[0]
    assert dataset["classes"] == {"contamination": 3, "crack": 3}
    assert client.get("/datasets/bottle").json()["layout"]["kind"] == "mvtec"


def test_label_files_that_nothing_understands_are_in_rejected(client: TestClient) -> None:
    labels = {f"dents/{i}.json": b"{}" for i in range(3)}
    dataset = upload(client, "steel", {**DENTS, **labels}).json()
    assert {each["file"] for each in dataset["rejected"]} == labels.keys()
    assert all("COCO" in each["reason"] for each in dataset["rejected"])


def test_the_form_field_split_chooses_what_is_trained_on(client: TestClient) -> None:
    train = upload(client, "train", trees.image_folder()).json()
    everything = upload(client, "all", trees.image_folder(), split="all").json()
    assert (train["image_count"], everything["image_count"]) == (6, 18)
    refused = upload(client, "none", trees.image_folder(), split="holdout")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/split"
    assert "train, val, test, all" in refused.json()["detail"]


def test_a_job_says_how_it_crops_and_warns_of_what_that_loses(client: TestClient) -> None:
    files = {}
    for i in range(30):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 107), np.uint8)
        files |= {f"pits/{i}.png": trees.encoded(pixels), f"pits/{i}_mask.bmp": _mask_at_the_edge()}
    dataset = upload(client, "tiles", files).json()
    assert (dataset["crop"], dataset["crops"]["middle"]["defects_lost"]) == ("annotations", 30)
    body = {"dataset": "tiles", "model": "tiles"}
    grid = client.post("/training-jobs", json={**body, "crop": {"around": "grid"}}).json()
    assert grid["config"]["crop"] == {"around": "grid"}
    assert grid["health"] == {"state": "good", "reasons": []}
    middle = client.post("/training-jobs", json={**body, "crop": {"around": "middle"}}).json()
    assert middle["config"]["crop"] == {"around": "middle"}
    assert middle["health"]["state"] == "warning"
    assert "30 labelled defects wholly" in middle["health"]["reasons"][0]


@pytest.mark.parametrize("crop", [{"around": "corner"}, {}, {"around": "pad", "x": 1}, "pad"])
def test_an_unknown_crop_is_refused(client: TestClient, crop: Any) -> None:
    upload(client, "steel", DENTS)
    answer = client.post("/training-jobs", json={"dataset": "steel", "model": "m", "crop": crop})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/crop")


def test_a_job_on_square_photographs_cuts_the_middle(client: TestClient) -> None:
    upload(client, "steel", DENTS)
    job = client.post("/training-jobs", json={"dataset": "steel", "model": "m"}).json()
    assert job["config"]["crop"] == {"around": "middle"}
    schema = client.get("/training-jobs/schema").json()
    assert "crop" in schema["properties"]


def test_a_job_warns_of_defects_that_are_too_small_at_its_resolution(client: TestClient) -> None:
    files = {}
    for i in range(30):
        files[f"images/{i}.jpg"] = photograph(i, side=320, format="JPEG")
        files[f"masks/{i}.png"] = trees.mask((100, 50, 10, 10), side=320)
    dataset = upload(client, "pits", files).json()
    assert dataset["layout"]["size_of_defects"] == {"median": 10.0, "min": 10.0}
    body = {"dataset": "pits", "model": "pits", "resolution": 64, "crop": {"around": "middle"}}
    reasons = client.post("/training-jobs", json=body).json()["health"]["reasons"]
    assert any("smaller than 2.0 pixels at resolution 64" in reason for reason in reasons)
    assert client.post("/training-jobs", json={**body, "resolution": 256}).json()["health"]["reasons"] == []
    native = {"around": "annotations"}
    assert client.post("/training-jobs", json={**body, "crop": native}).json()["health"]["reasons"] == []


def _mask_at_the_edge() -> bytes:
    pixels = np.zeros((40, 107), np.uint8)
    pixels[10:20, 2:12] = 255
    return trees.encoded(pixels, "BMP")
