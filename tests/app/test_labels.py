"""Labels over HTTP, on the whole API without workers: what is refused, and how answers carry labels."""

import base64
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.conftest import zipped
from tests.core.store import trees
from tests.published_versions import publish

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.image_labels import ImageLabels, pack
from flawsmith.core.domain.quality_floor import sampling_name
from flawsmith.core.domain.records import Labelling, ModelVersion
from flawsmith.core.live.image_cache import store_in_cache
from flawsmith.core.live.sampling_queue import Consumer
from flawsmith.core.live.task_queues import SAMPLE, announce
from flawsmith.core.services import Services
from flawsmith.core.store.images import encode_pixels

pytestmark = pytest.mark.usefixtures("lasting_heartbeats")

SIDE = 32
CALL = "/models/steel/versions/1/labels"
LABELLED = {"parent": "steel@1", "labelling": Labelling(job="labelling-1", source="masks", masks=3, boxes=0)}
JSON, ZIP = {"Accept": "application/json"}, {"Accept": "application/zip"}
PNG = encode_pixels(np.full((SIDE, SIDE, 1), 90, np.uint8), {"Seed": "7"})
MASK = trees.mask((4, 6, 8, 2), side=SIDE)
LABELS = ImageLabels(((4, 6, 12, 8), (20, 20, 24, 30)), False, MASK)


@pytest.fixture(autouse=True)
def versions(services: Services) -> None:
    """`steel@1` without labels, `steel@2` with masks, `steel@3` with boxes; scratches of seed 7 and 8 are cached."""
    classes = ["crazing", "scratches"]
    publish(services.registry, "job-1", "steel", classes=classes)
    publish(services.registry, "job-2", "steel", classes=classes, labels="mask", **LABELLED)
    boxed = LABELLED | {"labelling": Labelling(job="labelling-2", source="annotations", masks=0, boxes=9)}
    publish(services.registry, "job-2", "steel", classes=classes, labels="box", **boxed)
    images = {Address("scratches", seed): pack(PNG, LABELS) for seed in (7, 8)}
    store_in_cache(services.redis, sampling_name("steel@2", None, labelled=True), images, 10**9)


def generate(api: TestClient, headers: dict[str, str] = JSON, query: str = "", **body: Any) -> httpx2.Response:
    asked = {"model": "steel@2", "defect_type": "scratches", "seed": 7, "count": 2, "labels": "mask", **body}
    return api.post(f"/generate{query}", json=asked, headers=headers)


def refusal(answer: httpx2.Response, pointer: str, status: int = 422) -> str:
    assert answer.status_code == status, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    return str(answer.json()["detail"])


class TestAnswers:
    def test_json_has_masks_and_boxes(self, api: TestClient) -> None:
        answer = generate(api)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-redrawn"] == "0"
        first, second = answer.json()["images"]
        assert (first["seed"], second["seed"]) == (7, 8)
        assert base64.b64decode(first["data"]) == PNG
        assert base64.b64decode(first["mask"]) == MASK
        assert (first["boxes"], first["plausible"]) == ([[4, 6, 12, 8], [20, 20, 24, 30]], False)

    def test_boxes_alone_and_no_data(self, api: TestClient) -> None:
        [image] = generate(api, labels="box", count=1).json()["images"]
        assert "mask" not in image
        assert len(image["boxes"]) == 2
        [image] = generate(api, query="?data=false", count=1).json()["images"]
        assert "mask" not in image
        assert "data" not in image
        assert len(image["boxes"]) == 2

    def test_a_zip_has_masks_beside_images_and_boxes_in_its_manifest(self, api: TestClient) -> None:
        archive = zipfile.ZipFile(io.BytesIO(generate(api, ZIP).content))
        assert archive.read("scratches/7.png") == PNG
        assert archive.read("scratches/7_mask.png") == MASK
        [entry, _] = json.loads(archive.read("manifest.json"))["images"]
        assert (entry["file"], entry["mask"]) == ("scratches/7.png", "scratches/7_mask.png")
        assert entry["boxes"] == [[4, 6, 12, 8], [20, 20, 24, 30]]
        assert generate(api, {"Accept": "*/*"}, count=1).headers["content-type"] == "application/zip"

    def test_the_mask_at_an_address(self, api: TestClient) -> None:
        url = "/models/steel/versions/2/images/7/mask.png?defect_type=scratches"
        answer = api.get(url)
        assert (answer.status_code, answer.content) == (200, MASK)
        assert "immutable" in answer.headers["cache-control"]
        assert api.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304

    def test_a_withdrawn_image_has_no_mask(self, api: TestClient) -> None:
        assert api.delete("/models/steel/versions/1/images/7.png?defect_type=scratches").status_code == 204
        url = "/models/steel/versions/2/images/7/mask.png?defect_type=scratches"
        assert api.get(url).status_code == 410  # the parent's image is the same

    def test_without_labels_a_repeated_call_is_as_before(self, api: TestClient) -> None:
        body = {"model": "steel@2", "seed": 5, "labels": None}
        headers = JSON | {"Idempotency-Key": "1"}
        first = api.post("/generate?data=false", json=body, headers=headers)
        del body["labels"]
        assert api.post("/generate?data=false", json=body, headers=headers).json() == first.json()
        assert "boxes" not in first.json()["images"][0]
        none = api.post("/generate?data=false", json=body | {"labels": "none"}, headers=JSON)
        assert none.json() == first.json()


@contextmanager
def worker(services: Services, plausible: Callable[[Address], bool]) -> Iterator[None]:
    """A sampling worker whose images have these labels."""
    announce(services.redis, SAMPLE, "stand-in", "")
    stop = threading.Event()

    def work() -> None:
        consumer = Consumer(services.redis, "stand-in")
        consumer.begin_task()
        while not stop.wait(0.002):
            if batch := consumer.next_batch():
                made = {each: pack(PNG, LABELS._replace(plausible=plausible(each))) for each in batch.addresses}
                consumer.deliver(batch, made, 0.0)

    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(work)
        try:
            yield
        finally:
            stop.set()
            working.result()


class TestNewImages:
    def test_those_with_doubtful_labels_are_redrawn_and_counted(self, api: TestClient, services: Services) -> None:
        made: list[Address] = []

        def every_third(address: Address) -> bool:
            made.append(address)
            return address.seed % 3 == 0

        with worker(services, every_third):
            answer = generate(api, seed=None, defect_type=None, count=4)
            given = answer.json()["images"]
        assert [each["plausible"] for each in given] == [True] * 4
        assert len({(each["defect_type"], each["seed"]) for each in given}) == 4
        assert all(each["seed"] % 3 == 0 for each in given)
        assert int(answer.headers["x-redrawn"]) == len(made) - 4 > 0

    def test_where_all_are_doubtful_the_call_is_refused(self, api: TestClient, services: Services) -> None:
        with worker(services, lambda address: False):
            answer = generate(api, seed=None, count=2)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:doubtful-labels")
        assert "label the version again with more masks" in answer.json()["detail"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"model": "steel@1"}, "steel@1 have no labels; POST /models/steel/versions/1/labels makes a version"),
            ({"model": "steel@3"}, "boxes and no masks; ask for 'box'"),
            (
                {"format": "png"},
                "'format': 'png' cannot hold labels; send 'Accept: application/zip or",
            ),
        ],
    )
    def test_of_generate(self, api: TestClient, body: dict[str, Any], words: str) -> None:
        assert words in refusal(generate(api, **body), "/labels")

    def test_a_media_type_without_room_for_labels(self, api: TestClient) -> None:
        assert "cannot hold labels" in refusal(generate(api, {"Accept": "image/png"}, count=1), "/labels")

    @pytest.mark.parametrize("version", [1, 3])
    def test_of_a_mask(self, api: TestClient, version: int) -> None:
        refusal(api.get(f"/models/steel/versions/{version}/images/7/mask.png"), "/path/version")

    def test_an_export_needs_labels_for_its_layout(self, api: TestClient) -> None:
        for version, layout, status in ((1, "coco", 422), (2, "mvtec", 202), (3, "coco", 202), (3, "mvtec", 422)):
            body = {"model": f"steel@{version}", "count": 4, "layout": layout}
            assert api.post("/exports", json=body).status_code == status


def text(picture: Image.Image, format: str = "PNG") -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format)
    return base64.b64encode(buffer.getvalue()).decode()


def painted(mode: str = "L", side: int = SIDE) -> Image.Image:
    """A picture with a white square; with an alpha channel it is transparent elsewhere."""
    colour = "white" if mode != "RGBA" else (255, 255, 255, 255)
    picture = Image.new(mode, (side, side), 0)
    picture.paste(colour, (4, 4, 12, 8))
    return picture


class TestLabelling:
    @pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "P"])
    def test_masks_of_any_mode_make_a_job(self, api: TestClient, mode: str) -> None:
        picture = painted("RGB").quantize() if mode == "P" else painted(mode)
        masks = [{"seed": 3, "mask": text(picture)}, {"seed": 3, "defect_type": "crazing", "mask": text(picture)}]
        answer = api.post(CALL, json={"masks": masks})
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert answer.headers["location"] == f"/labellings/{job['id']}"
        assert (job["version"], job["produced"], job["state"]) == ("steel@1", None, "queued")
        config = job["config"]
        assert (config["source"], config["labels"]) == ("masks", "mask")
        assert [each["defect_type"] for each in config["masks"]] == ["scratches", "crazing"]
        assert config["masks"][0]["runs"] == config["masks"][1]["runs"]
        assert api.get(f"/labellings/{job['id']}").json() == job

    @pytest.mark.parametrize(
        ("mask", "pointer", "words"),
        [
            ({"seed": 1, "mask": "no base64"}, "/masks/0/mask", "a PNG as base64"),
            ({"seed": 1, "mask": base64.b64encode(b"no PNG").decode()}, "/masks/0/mask", "a PNG as base64"),
            ({"seed": 1, "mask": text(painted(), "BMP")}, "/masks/0/mask", "a PNG as base64"),
            ({"seed": 1, "mask": text(painted(side=16))}, "/masks/0/mask", "16 x 16 pixels; it must be"),
            ({"seed": 1, "mask": text(Image.new("L", (SIDE, SIDE)))}, "/masks/0/mask", "is empty"),
            ({"seed": 1, "defect_type": "dents", "mask": ""}, "/masks/0/defect_type", "this model knows"),
            ({"seed": -1, "mask": ""}, "/masks/0/seed", "greater than"),
        ],
    )
    def test_a_mask_that_cannot_be_used(self, api: TestClient, mask: Any, pointer: str, words: str) -> None:
        assert words in refusal(api.post(CALL, json={"masks": [mask]}), pointer)

    def test_an_image_has_one_mask(self, api: TestClient) -> None:
        mask = {"seed": 1, "mask": text(painted())}
        assert "has a mask already" in refusal(api.post(CALL, json={"masks": [mask, mask]}), "/masks/1/seed")

    def test_a_version_must_be_there(self, api: TestClient) -> None:
        assert api.post("/models/steel/versions/9/labels", json={}).status_code == 404

    def test_photographs_that_were_deleted(self, api: TestClient) -> None:
        answer = api.post(CALL, json={})
        assert answer.status_code == 409
        assert "send 'masks' of its images" in answer.json()["detail"]


def trained_on(api: TestClient, services: Services, files: dict[str, bytes]) -> ModelVersion:
    """`coil@1`, trained on an upload."""
    answer = api.post("/datasets", data={"name": "set"}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    return publish(services.registry, "job-9", "coil", dataset_digest=answer.json()["digest"])


@pytest.mark.parametrize(
    ("files", "body", "labels"),
    [
        (trees.images_and_masks(), {}, "mask"),
        (trees.images_and_masks(), {"labels": "box"}, "box"),
        (trees.voc(), {}, "box"),
    ],
)
def test_annotations_decide_which_labels_there_can_be(
    api: TestClient, services: Services, files: dict[str, bytes], body: dict[str, Any], labels: str
) -> None:
    trained_on(api, services, files)
    job = api.post("/models/coil/versions/1/labels", json=body).json()
    assert (job["config"]["source"], job["config"]["labels"]) == ("annotations", labels)
    dataset = job["dataset"]
    assert api.delete(f"/datasets/{dataset}").status_code == 409  # the job reads it


@pytest.mark.parametrize(
    ("files", "body", "pointer", "words"),
    [
        (trees.voc(), {"labels": "mask"}, "/labels", "boxes and no masks"),
        ({f"a/{i}.png": trees.encoded(np.full((40, 40), 9 * i, np.uint8)) for i in range(3)}, {}, "/masks", "neither"),
    ],
)
def test_annotations_that_are_not_there(
    api: TestClient, services: Services, files: dict[str, bytes], body: dict[str, Any], pointer: str, words: str
) -> None:
    trained_on(api, services, files)
    assert words in refusal(api.post("/models/coil/versions/1/labels", json=body), pointer)
