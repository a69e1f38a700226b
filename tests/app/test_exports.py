"""Exports over HTTP, without a worker: what is refused, what is accepted, and what is said of an archive."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.published_versions import publish

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.job_kinds.export import KIND, ExportResult
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.services import Services
from flawsmith.core.store.export_files import HeldAddresses, addresses_file, archive_file
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.reference_photographs import FILE as REFERENCES

BODY = {"model": "steel", "count": 10}
CONTENT = bytes(range(256)) * 40

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"count": 0}, "/count", "greater than or equal to 1"),
    ({"count": 100_001}, "/count", "less than or equal to 100000"),
    ({"count": None}, "", "one of 'count' and 'per_type'"),
    ({"per_type": {"crazing": 3}}, "", "one of 'count' and 'per_type'"),
    ({"count": None, "per_type": {"dents": 3}}, "/per_type/dents", "this model knows: crazing, scratches"),
    ({"count": None, "per_type": {"crazing": 0}}, "/per_type/crazing", "greater than"),
    ({"count": None, "per_type": {}}, "/per_type", "at least 1"),
    ({"count": None, "per_type": {"crazing": 60_000, "scratches": 60_000}}, "/per_type", "at most 100000"),
    ({"layout": "tfrecord"}, "/layout", "imagefolder"),
    ({"layout": "coco"}, "/layout", "neither masks nor boxes. A box around the whole image would be no label"),
    ({"layout": "yolo"}, "/layout", "'imagefolder' holds a folder of images for each defect type"),
    ({"layout": "voc"}, "/layout", "the images of steel@1 have neither masks nor boxes"),
    ({"layout": "mvtec"}, "/layout", "a mask beside each image of a defect"),
    ({"split": {"train": 0.8}}, "/split", "sum to 0.8; they must sum to 1"),
    ({"split": {"train": 0.8, "val": 0.3}}, "/split", "sum to 1.1"),
    ({"split": {}}, "/split", "at least 1"),
    ({"split": {"../up": 1.0}}, "/split", "'../up' is no name of a split"),
    ({"max_similarity": 1.5}, "/max_similarity", "less than or equal to 1"),
    ({"seed": -1}, "/seed", "greater than"),
    ({"seed": 2**53 - 1}, "/seed", "too high a seed"),
    ({"format": "zip"}, "/format", "unknown key"),
    ({"attributes": {"angle": [0, 10]}}, "/attributes/angle", "only versions whose card lists it"),
    ({"attributes": {"brightness": [90, 10]}}, "/attributes/brightness", "[low, high], two numbers from 0 to 255"),
    ({"attributes": {"a/b": [0, 1]}}, "/attributes/a~1b", "unknown attribute"),
    ({"attributes": {"brightness": "dark"}}, "/attributes/brightness", "[low, high]"),
    ({"attributes": [1]}, "/attributes", "must be a JSON object"),
]
"""A change of the body, the JSON pointer of the error, and words of its detail."""


def test_a_job_with_its_whole_configuration_is_made(api: TestClient, version: ModelVersion) -> None:
    answer = api.post("/exports", json={**BODY, "split": {"train": 0.8, "val": 0.2}, "seed": 7})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/exports/{job['id']}"
    assert (job["kind"], job["state"], job["version"], job["layout"]) == ("export", "queued", "steel@1", "imagefolder")
    config = job["config"]
    assert (config["counts"], config["seed"]) == ({"crazing": 5, "scratches": 5}, 7)
    assert config["split"] == {"train": 0.8, "val": 0.2}
    assert (job["progress"]["step"], job["progress"]["total_steps"]) == (0, 10)
    assert (job["archive"], job["result"]) == (None, None)
    assert api.get(f"/exports/{job['id']}").json() == job
    assert api.get("/exports").json()["items"] == [job]


def test_attributes_stand_in_the_configuration_in_their_canonical_form(api: TestClient, version: ModelVersion) -> None:
    answer = api.post("/exports", json={**BODY, "attributes": {"brightness": [100.004, 150]}})
    assert answer.status_code == 202, answer.text
    assert answer.json()["config"]["attributes"] == {"brightness": [100, 150]}
    assert "attributes" not in api.post("/exports", json=BODY).json()["config"]
    composed = api.post("/exports", json={"composition": "composition-1", "attributes": {"brightness": [1, 2]}})
    assert composed.status_code == 422 and "of the images of a model" in composed.json()["detail"]


def test_a_count_takes_the_types_in_turn_from_the_first_seed_on(api: TestClient, version: ModelVersion) -> None:
    for seed, counts in ((0, {"crazing": 3, "scratches": 2}), (1, {"crazing": 2, "scratches": 3})):
        job = api.post("/exports", json={"model": "steel@1", "count": 5, "seed": seed}).json()
        assert job["config"]["counts"] == counts
    job = api.post("/exports", json={"model": "steel", "count": 1, "seed": 1}).json()
    assert job["config"]["counts"] == {"scratches": 1}
    job = api.post("/exports", json={"model": "steel", "per_type": {"scratches": 7}}).json()
    assert job["config"]["counts"] == {"scratches": 7}


@pytest.mark.parametrize(("change", "pointer", "words"), REFUSED, ids=str)
def test_what_cannot_be_done_is_refused_with_what_would_be_right(
    api: TestClient, version: ModelVersion, change: dict[str, Any], pointer: str, words: str
) -> None:
    answer = api.post("/exports", json={**BODY, **change})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]
    assert api.get("/exports").json()["items"] == []


def test_an_unknown_model_is_404(api: TestClient) -> None:
    assert api.post("/exports", json=BODY).status_code == 404


def test_conditions_that_need_what_the_version_lacks_are_409(
    api: TestClient, services: Services, version: ModelVersion
) -> None:
    answer = api.post("/exports", json={**BODY, "max_similarity": 0.7})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:no-references")
    services.registry.set_quality_floor(version, QualityFloor(score=0.2, set_at=now()))
    answer = api.post("/exports", json=BODY)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:no-image-scores")


def test_photographs_to_compare_with_stay_until_it_ends(api: TestClient, services: Services, dataset: str) -> None:
    digest = services.datasets.get(dataset).digest
    version = publish(services.registry, "job-1", "pits", classes=["pits"], dataset_digest=digest)
    (services.registry.folder(version) / REFERENCES).write_bytes(b"looked at by the worker only")
    answer = api.post("/exports", json={"model": "pits", "count": 1, "max_similarity": 0.7})
    assert (answer.status_code, answer.json()["dataset"]) == (202, dataset)
    assert api.delete(f"/datasets/{dataset}").status_code == 409
    assert api.post(f"{answer.headers['location']}/cancel").status_code == 202
    assert api.delete(f"/datasets/{dataset}").status_code == 204


def test_the_calls_of_every_kind_work_and_a_repeated_key_makes_one_job(api: TestClient, version: ModelVersion) -> None:
    first, second = (api.post("/exports", json=BODY, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert first.json() == second.json()
    path = first.headers["location"]
    assert api.delete(path).status_code == 409
    assert api.post(f"{path}/cancel").status_code == 202
    assert api.post(f"{path}/cancel").status_code == 200
    assert "was cancelled; POST /exports" in api.get(f"{path}/archive").json()["detail"]
    assert api.post(f"{path}/resume").json()["state"] == "queued"
    answer = api.get(f"{path}/archive")
    assert answer.status_code == 404
    assert "0 of 10 images are made" in answer.json()["detail"]
    assert api.post(f"{path}/cancel").status_code == 202
    assert api.delete(path).status_code == 204
    assert api.get(f"{path}/archive").status_code == 404


@pytest.fixture
def finished(api: TestClient, services: Services, version: ModelVersion) -> str:
    """The path of an export that has succeeded with the seeds 0 to 9; its archive is only bytes."""
    job = services.jobs.get(api.post("/exports", json=BODY).json()["id"], KIND)
    folder = JobFolder(services.store, job.id)
    held = HeldAddresses()
    for seed in range(10):
        held.add("steel@1", version.classes[seed % 2], seed)
    services.store.write_bytes(addresses_file(folder), held.to_bytes())
    services.store.write_bytes(archive_file(folder), CONTENT)
    result = ExportResult(images=10, types={}, splits={}, left_out={}, bytes=len(CONTENT), sha256="abc")
    with services.jobs.lease(job.id) as lease:
        assert lease is not None
        services.jobs.begin(lease, "worker")
        services.jobs.finish(lease, JobState.SUCCEEDED, "exported", result=result)
    return f"/exports/{job.id}"


def test_a_broken_download_can_be_continued(api: TestClient, finished: str) -> None:
    whole = api.get(f"{finished}/archive")
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["content-type"] == "application/zip"
    assert 'filename="steel-1-imagefolder.zip"' in whole.headers["content-disposition"]
    rest = api.get(f"{finished}/archive", headers={"Range": "bytes=1000-", "If-Range": whole.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, CONTENT[1000:])
    assert api.get(f"{finished}/archive", headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert api.head(f"{finished}/archive").headers["content-length"] == str(len(CONTENT))


def test_an_archive_with_an_image_that_was_withdrawn_since_is_gone(
    api: TestClient, services: Services, version: ModelVersion, finished: str
) -> None:
    services.registry.withdraw(version, Address("scratches", 4), "of another type")
    services.registry.withdraw(version, Address("crazing", 10), "not exported")
    assert api.get(f"{finished}/archive").status_code == 200
    services.registry.withdraw(version, Address("crazing", 4), "shows a face")
    answer = api.get(f"{finished}/archive")
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:flawsmith:withdrawn")
    assert "seed 4 of 'crazing': shows a face" in answer.json()["detail"]
