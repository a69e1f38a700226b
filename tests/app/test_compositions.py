"""Compositions over HTTP, without a worker: what is refused, what is accepted, and exports of them."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.conftest import zipped
from tests.published_versions import publish
from tests.worker.compositions.material import clean_files, defect_files, png, surface

from flawsmith.core.domain.job_kinds.composition import KIND, CompositionResult
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.services import Services
from flawsmith.core.store.export_files import archive_file
from flawsmith.core.store.job_folder import JobFolder

CONTENT = bytes(range(256)) * 40
BODY: dict[str, Any] = {"defects": "steel", "background": "parts", "count": 10}


def upload(api: TestClient, name: str, files: dict[str, bytes]) -> str:
    answer = api.post("/datasets", data={"name": name}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def steel(api: TestClient) -> str:
    """A dataset with ten annotated defects of two types each."""
    return upload(api, "steel", defect_files())


@pytest.fixture
def parts(api: TestClient) -> str:
    """A dataset with clean photographs of 128 x 128 pixels."""
    return upload(api, "parts", clean_files())


def encoded(pixels: np.ndarray) -> str:
    return base64.b64encode(png(pixels)).decode()


def mask(side: int, level: int) -> str:
    pixels = np.zeros((side, side), np.uint8)
    pixels[10:90, 20:100] = level
    return encoded(pixels)


def of_a_size(side: int) -> str:
    """A PNG that says that it is of this size, and has no pixels."""
    contents = (b"IHDR" + struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0), b"IDAT")
    chunks = [struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in contents]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"count": 0}, "/count", "greater than or equal to 1"),
    ({"count": 100_001}, "/count", "less than or equal to 100000"),
    ({"defects": None}, "", "one of 'model' and 'defects'"),
    ({"model": "steel"}, "", "one of 'model' and 'defects'"),
    ({"source": "generated"}, "/source", "name a version with labels in 'model' instead of 'defects'"),
    ({"source": "drawn"}, "/source", "'generated' or 'real'"),
    ({"per_image": [3, 1]}, "", "must be [low, high]"),
    ({"per_image": [0, 1]}, "/per_image/0", "greater than or equal to 1"),
    ({"per_image": [1, 101]}, "/per_image/1", "less than or equal to 100"),
    ({"per_image": [1]}, "/per_image", "at least 2"),
    (
        {"types": ["dents"]},
        "/types",
        "no defect of type 'dents' is annotated in 'steel'; there are bars (10), pits (10)",
    ),
    ({"types": []}, "/types", "at least 1"),
    ({"background": "nowhere"}, "/background", "there is no dataset 'nowhere'"),
    ({"defects": "nowhere"}, "/defects", "there is no dataset 'nowhere'"),
    ({"background": "steel"}, "/background", "no photograph of 'steel' is known to be clean"),
    ({"defects": "parts"}, "/defects", "nothing is annotated in the photographs of 'parts'"),
    ({"region": "white"}, "/region", "neither corners [[x, y], …] nor a PNG in base64"),
    (
        {"region": mask(120, 255)},
        "/region",
        "the mask is 120 x 120 pixels, and a photograph of the background is 128 x",
    ),
    ({"region": mask(128, 0)}, "/region", "the mask marks nothing"),
    ({"region": mask(128, 255)[:-40]}, "/region", "broken"),
    ({"region": of_a_size(60_000)}, "/region", "the mask is 60000 x 60000 pixels"),
    ({"region": [[200, 0], [300, 0], [300, 9]]}, "/region", "outside of a photograph of 128 x 128 pixels"),
    ({"blend": "paste"}, "/blend", "'auto', 'alpha' or 'poisson'"),
    ({"split": {"train": 0.8}}, "/split", "must sum to 1"),
    ({"seed": 2**53 - 1}, "/seed", "too high a seed"),
    ({"scale": 2}, "/scale", "unknown key"),
]
"""A change of the body, the JSON pointer of the error, and words of its detail."""


@pytest.mark.parametrize(("change", "pointer", "words"), REFUSED, ids=lambda each: str(each)[:60])
def test_what_cannot_be_done_is_refused_with_what_would_be_right(
    api: TestClient, steel: str, parts: str, change: dict[str, Any], pointer: str, words: str
) -> None:
    answer = api.post("/compositions", json={**BODY, **change})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]
    assert api.get("/compositions").json()["items"] == []


@pytest.mark.parametrize("region", [[[1, 2], [3, 4]], [[1, 2, 3]] * 3, [[1, "x"]] * 3, [[0, 1e7]] * 3, 5, {}, ""])
def test_a_region_of_neither_form_is_refused(api: TestClient, steel: str, parts: str, region: Any) -> None:
    answer = api.post("/compositions", json={**BODY, "region": region})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/region" and "corners [[x, y], …] in pixels, or a mask" in error["detail"]


def test_a_job_with_its_whole_configuration_is_made(api: TestClient, steel: str, parts: str) -> None:
    answer = api.post("/compositions", json={**BODY, "per_image": [2, 4], "types": ["pits"], "seed": 7})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/compositions/{job['id']}"
    assert (job["kind"], job["state"], job["defects"], job["background"]) == ("composition", "queued", steel, parts)
    assert (job["version"], job["archive"], job["result"]) == (None, None, None)
    config = job["config"]
    assert (config["source"], config["types"], config["per_image"]) == ("real", ["pits"], [2, 4])
    assert (config["count"], config["seed"], config["blend"], config["region"]) == (10, 7, "auto", None)
    assert (job["progress"]["step"], job["progress"]["total_steps"]) == (0, 10)
    assert api.get(f"/compositions/{job['id']}").json() == job
    assert api.get("/compositions").json()["items"] == [job]
    assert "0 of 10 images are made" in api.get(f"/compositions/{job['id']}/archive").json()["detail"]


def test_a_model_means_the_defects_that_it_was_trained_on(
    api: TestClient, services: Services, steel: str, parts: str
) -> None:
    digest = services.datasets.get(steel).digest
    publish(services.registry, "job-1", "scratches", classes=["bars", "pits"], dataset_digest=digest)
    body = {"model": "scratches", "background": "parts", "count": 10, "per_image": [1, 3], "seed": 5}
    job = api.post("/compositions", json=body).json()
    assert (job["version"], job["defects"], job["config"]["source"]) == ("scratches@1", steel, "real")
    assert job["config"]["types"] == ["bars", "pits"]
    assert api.post("/compositions", json={**body, "model": "dents"}).status_code == 404
    publish(services.registry, "job-2", "gone", classes=["bars"], dataset_digest="of nothing that is there")
    answer = api.post("/compositions", json={**body, "model": "gone"})
    assert answer.status_code == 409
    assert "the photographs that gone@1 was trained on were deleted" in answer.json()["detail"]


def test_a_mask_is_kept_in_few_bytes(api: TestClient, steel: str, parts: str) -> None:
    job = api.post("/compositions", json={**BODY, "region": mask(128, 255)}).json()
    region = job["config"]["region"]["mask"]
    assert region["size"] == [128, 128]
    assert len(region["counts"]) < 400
    corners = [[10, 10], [90.5, 10], [90, 90]]
    job = api.post("/compositions", json={**BODY, "region": corners}).json()
    assert job["config"]["region"] == {"polygon": corners}


def test_a_mask_of_one_size_does_not_fit_photographs_of_several(api: TestClient, steel: str) -> None:
    upload(api, "parts", {**clean_files(), "good/other.png": png(surface(9, 96))})
    answer = api.post("/compositions", json={**BODY, "region": mask(128, 255)})
    assert answer.status_code == 422
    assert "must be of the size of all: give a polygon" in answer.json()["detail"]


def test_its_datasets_stay_until_it_ends(api: TestClient, steel: str, parts: str) -> None:
    path = api.post("/compositions", json=BODY).headers["location"]
    assert [api.delete(f"/datasets/{each}").status_code for each in (steel, parts)] == [409, 409]
    assert api.post(f"{path}/cancel").status_code == 202
    assert "the composition was cancelled; POST /compositions" in api.get(f"{path}/archive").json()["detail"]
    assert [api.delete(f"/datasets/{each}").status_code for each in (steel, parts)] == [204, 204]


@pytest.fixture
def finished(api: TestClient, services: Services, steel: str, parts: str) -> str:
    """The id of a composition job of ten images that has succeeded; its archive is only bytes."""
    job = services.jobs.get(api.post("/compositions", json=BODY).json()["id"], KIND)
    services.store.write_bytes(archive_file(JobFolder(services.store, job.id)), CONTENT)
    result = CompositionResult(images=10, defects={}, splits={}, left_out={}, bytes=len(CONTENT), sha256="abc")
    with services.jobs.lease(job.id) as lease:
        assert lease is not None
        services.jobs.begin(lease, "worker")
        services.jobs.finish(lease, JobState.SUCCEEDED, "composed", result=result)
    return job.id


def test_a_broken_download_can_be_continued(api: TestClient, finished: str) -> None:
    whole = api.get(f"/compositions/{finished}/archive")
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["content-type"] == "application/zip"
    rest = api.get(f"/compositions/{finished}/archive", headers={"Range": "bytes=1000-"})
    assert (rest.status_code, rest.content) == (206, CONTENT[1000:])
    again = api.get(f"/compositions/{finished}/archive", headers={"If-None-Match": whole.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("layout", ["imagefolder", "mvtec", "coco", "yolo", "voc"])
def test_compositions_are_exported_in_every_layout(api: TestClient, finished: str, layout: str) -> None:
    answer = api.post("/exports", json={"composition": finished, "layout": layout})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["composition"], job["version"], job["layout"]) == (finished, None, layout)
    assert job["config"]["count"] == job["progress"]["total_steps"] == 10


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"count": 11}, "/count", "the composition job has 10"),
        ({"model": "steel"}, "", "one of 'model' and 'composition'"),
        ({"seed": 3}, "", "'seed' is of the images of a model"),
        ({"max_similarity": 0.5}, "", "'max_similarity' is of the images of a model"),
        ({"layout": "mvtec", "split": {"train": 1}}, "/split", "splits of its own"),
    ],
)
def test_what_an_export_of_compositions_cannot_do_is_refused(
    api: TestClient, finished: str, change: dict[str, Any], pointer: str, words: str
) -> None:
    answer = api.post("/exports", json={"composition": finished, "layout": "coco", **change})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_only_a_job_that_has_succeeded_is_exported(api: TestClient, steel: str, parts: str) -> None:
    job = api.post("/compositions", json=BODY).json()["id"]
    answer = api.post("/exports", json={"composition": job, "layout": "coco"})
    assert (answer.status_code, "only one that has succeeded" in answer.json()["detail"]) == (409, True)
    assert api.post("/exports", json={"composition": "composition-1", "layout": "coco"}).status_code == 404
