"""A job that learns masks together with images, with every process real: its version's images come with masks."""

import base64
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import Service, photograph, zipped
from tests.core.store import trees
from tests.tiny_priors import TINY

JSON = {"Accept": "application/json"}
JOB = {"preset": "fewshot", "labels": "mask", "overrides": TINY, "crop": {"around": "middle"}, "steps": 8}


def pixels(file: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(file)))


def images(service: Service, model: str, **body: Any) -> list[dict[str, Any]]:
    answer = service.client.post("/generate", json={"model": model, "seed": 100, "count": 20, **body}, headers=JSON)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["images"])


@pytest.fixture(scope="module")
def version(service: Service) -> str:
    """`marks@1`, of twelve photographs of which eight have masks."""
    files = {f"images/{i}.png": photograph(i) for i in range(12)}
    files |= {f"masks/{i}.png": trees.mask((4 + i, 6, 8, 9)) for i in range(8)}
    answer = service.client.post("/datasets", data={"name": "marks"}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    job = service.train("marks", "marks", **JOB)
    assert (job["state"], job["produced"]) == ("succeeded", "marks@1"), job
    return "marks@1"


def test_the_card_says_how_the_masks_were_learned(service: Service, version: str) -> None:
    card = service.client.get("/models/marks/versions/1").json()
    assert (card["labels"], card["parent"]) == ("mask", None)
    labelling = card["labelling"]
    assert (labelling["source"], labelling["masks"], labelling["job"]) == ("training", 8, card["training_job"])
    assert labelling["ranges"]["marks"]["parts"][0] > 0


def test_every_image_has_one_mask_and_keeps_its_bytes(service: Service, version: str) -> None:
    plain, labelled = images(service, version), images(service, version, labels="mask")
    for before, after in zip(plain, labelled, strict=True):
        assert before["data"] == after["data"]
        mask = pixels(base64.b64decode(after["mask"]))
        assert mask.shape == (32, 32)
        assert mask.any()
        assert set(np.unique(mask)) <= {0, 255}
        url = f"/models/marks/versions/1/images/{after['seed']}/mask.png"
        assert service.client.get(url).content == base64.b64decode(after["mask"])
    [alone] = images(service, version, labels="mask", seed=107, count=1)
    assert alone == labelled[7]
    assert all(each["boxes"] for each in images(service, version, labels="box"))


def test_a_zip_has_the_masks(service: Service, version: str) -> None:
    body = {"model": version, "seed": 5, "count": 3, "labels": "mask", "format": None}
    answer = service.client.post("/generate", json=body, headers={"Accept": "application/zip"})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    entries = json.loads(archive.read("manifest.json"))["images"]
    assert [pixels(archive.read(each["mask"])).any() for each in entries] == [True] * 3
