"""An existing version is given labels, with every process real; then images come with their masks."""

import base64
import io
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import Service, until
from tests.labelled_versions import CLASSES, marked, publish_lively

from flawsmith import Client
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry

JSON = {"Accept": "application/json"}
ENDED = ("succeeded", "failed", "cancelled")


def pixels(file: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(file)))


def images(service: Service, model: str, **body: Any) -> list[dict[str, Any]]:
    answer = service.client.post("/generate", json={"model": model, **body}, headers=JSON)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["images"])


def ended(service: Service, path: str) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        job: dict[str, Any] = service.client.get(path).json()
        return job if job["state"] in ENDED else None

    return dict(until(over, 120, f"{path} ends"))


@pytest.fixture(scope="module")
def labelled(service: Service) -> str:
    """`glossy@2`, which labels `glossy@1`: a person painted the bright places of twelve images."""
    publish_lively(Registry(ArtifactStore(service.data_dir / "artifacts")), "glossy")
    with Client(str(service.client.base_url)) as client:
        made = client.generate("glossy@1", 12, seed=0)
        job = client.wait(client.label("glossy@1", [(each, marked(each.numpy()[..., None])) for each in made]))
    assert job.produced == "glossy@2"
    card = service.client.get("/models/glossy/versions/2").json()
    assert (card["labels"], card["parent"], card["labelling"]["masks"]) == ("mask", "glossy@1", 12)
    return job.produced


def test_masks_come_with_images_of_the_same_pixels(service: Service, labelled: str) -> None:
    before, after = (
        images(service, "glossy@1", seed=100, count=20),
        images(service, labelled, seed=100, count=20, labels="mask"),
    )
    for old, new in zip(before, after, strict=True):
        assert old["defect_type"] == new["defect_type"]
        image, mask = pixels(base64.b64decode(new["data"])), pixels(base64.b64decode(new["mask"]))
        assert (image == pixels(base64.b64decode(old["data"]))).all()
        assert set(np.unique(mask)) == {0, 255}
        inside = np.zeros(mask.shape, bool)
        for left, top, right, bottom in new["boxes"]:
            inside[top:bottom, left:right] = True
        assert not mask[~inside].any()
        url = f"/models/glossy/versions/2/images/{new['seed']}/mask.png?defect_type={new['defect_type']}"
        assert service.client.get(url).content == base64.b64decode(new["mask"])
        plain = service.client.get(
            f"/models/glossy/versions/2/images/{new['seed']}.png", params={"defect_type": old["defect_type"]}
        )
        assert plain.content == base64.b64decode(new["data"])  # labels change no byte of an image


def test_new_images_have_plausible_labels_and_are_given_once(service: Service, labelled: str) -> None:
    given = [images(service, labelled, count=8, **body) for body in ({"labels": "mask"}, {}, {"labels": "box"})]
    assert all(each["plausible"] for each in given[0] + given[2])
    addresses = [(each["defect_type"], each["seed"]) for some in given for each in some]
    assert len(set(addresses)) == len(addresses)
    assert {each["defect_type"] for each in given[0]} == set(CLASSES)


def test_an_idempotent_call_gets_its_masks_again(service: Service, labelled: str) -> None:
    headers = JSON | {"Idempotency-Key": "masks-once"}
    body = {"model": labelled, "count": 3, "labels": "mask"}
    first, again = (service.client.post("/generate", json=body, headers=headers).json() for _ in range(2))
    assert first == again


def test_labels_with_a_brightness(service: Service, labelled: str) -> None:
    found = images(service, labelled, count=4, labels="mask", attributes={"brightness": [180, 255]})
    for each in found:
        assert pixels(base64.b64decode(each["data"])).mean() >= 179.9
        assert pixels(base64.b64decode(each["mask"])).any()


def test_an_export_has_the_masks(service: Service, labelled: str) -> None:
    body = {"model": labelled, "count": 10, "layout": "mvtec"}
    answer = service.client.post("/exports", json=body)
    assert answer.status_code == 202, answer.text
    job = ended(service, answer.headers["location"])
    assert job["state"] == "succeeded", job
    archive = zipfile.ZipFile(io.BytesIO(service.client.get(f"{answer.headers['location']}/archive").content))
    masks = [name for name in archive.namelist() if name.endswith("_mask.png")]
    assert len(masks) == 10
    for name in masks:
        seed = name.rpartition("/")[2].removesuffix("_mask.png")
        defect_type = name.split("/")[-2]
        url = f"/models/glossy/versions/2/images/{seed}/mask.png?defect_type={defect_type}"
        assert (pixels(archive.read(name)) == pixels(service.client.get(url).content)).all()
