"""Compositions of generated defects over HTTP, without a worker: what is refused, and what is chosen."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.app.test_compositions import CONTENT, upload
from tests.published_versions import publish
from tests.worker.compositions.material import clean_files, defect_files

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.job_kinds.composition import KIND, CompositionResult
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.records import Labelling, ModelVersion, now
from flawsmith.core.services import Services
from flawsmith.core.store.export_files import HeldAddresses, addresses_file, archive_file
from flawsmith.core.store.job_folder import JobFolder

CLASSES = ["bars", "pits"]
BODY: dict[str, Any] = {"model": "steel@2", "background": "parts", "count": 10}
LABELLING = Labelling(job="labelling-1", source="masks", masks=12, boxes=0)


@pytest.fixture
def steel(api: TestClient, services: Services) -> ModelVersion:
    """`steel@1` without labels, `steel@2` with masks and `steel@3` with boxes; and the dataset `parts`."""
    upload(api, "parts", clean_files())
    digest = services.datasets.get(upload(api, "photographs", defect_files())).digest
    card: dict[str, Any] = {"classes": CLASSES, "dataset_digest": digest, "config": {"scale": 1.5}}
    publish(services.registry, "job-1", "steel", **card)
    card |= {"parent": "steel@1", "labelling": LABELLING}
    masks = publish(services.registry, "job-1", "steel", **card, labels="mask")
    card["labelling"] = LABELLING.changed(job="labelling-2")
    publish(services.registry, "job-1", "steel", **card, labels="box")
    return masks


def test_a_version_with_masks_means_its_generated_defects(api: TestClient, steel: ModelVersion) -> None:
    answer = api.post("/compositions", json={**BODY, "seed": 3, "types": ["pits"]})
    assert answer.status_code == 202, answer.text
    job, config = answer.json(), answer.json()["config"]
    assert (job["version"], job["defects"], job["background"].partition("-")[0]) == ("steel@2", None, "ds")
    assert (config["source"], config["types"], config["scale"], config["floor"]) == ("generated", ["pits"], 1.5, None)
    assert api.get(f"/compositions/{job['id']}").json() == job


@pytest.mark.parametrize(
    ("model", "source", "chosen"),
    [
        ("steel@1", None, "real"),
        ("steel@2", None, "generated"),
        ("steel@2", "real", "real"),
        ("steel@3", None, "real"),  # what stands out in a learned box is less than what a person annotated
        ("steel@3", "generated", "generated"),
    ],
)
def test_the_source_is_what_is_asked_for_else_masks_else_photographs(
    api: TestClient, steel: ModelVersion, model: str, source: str | None, chosen: str
) -> None:
    answer = api.post("/compositions", json={**BODY, "model": model, "source": source})
    assert answer.status_code == 202, answer.text
    assert answer.json()["config"]["source"] == chosen
    assert (answer.json()["defects"] is None) == (chosen == "generated")


def test_a_version_without_labels_is_refused_with_the_way_to_them(api: TestClient, steel: ModelVersion) -> None:
    answer = api.post("/compositions", json={**BODY, "model": "steel@1", "source": "generated"})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/source"
    assert "POST /models/steel/versions/1/labels" in error["detail"]
    assert "'source': \"real\"" in error["detail"]


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"types": ["dents"]}, "/types", "unknown defect_type 'dents'; steel@2 knows: bars, pits"),
        ({"seed": 2**53 - 1}, "/seed", "too high a seed"),
        ({"background": "nowhere"}, "/background", "there is no dataset 'nowhere'"),
        ({"defects": "photographs"}, "", "one of 'model' and 'defects'"),
        ({"region": [[200, 0], [300, 0], [300, 9]]}, "/region", "outside of a photograph"),
    ],
)
def test_what_cannot_be_done_is_refused(
    api: TestClient, steel: ModelVersion, change: dict[str, Any], pointer: str, words: str
) -> None:
    answer = api.post("/compositions", json={**BODY, **change})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_the_photographs_need_not_be_there(api: TestClient, steel: ModelVersion) -> None:
    assert api.delete("/datasets/photographs").status_code == 204
    assert api.post("/compositions", json=BODY).status_code == 202
    answer = api.post("/compositions", json={**BODY, "source": "real"})
    assert answer.status_code == 409
    assert "POST /models/steel/versions/2/labels" in answer.json()["detail"]


def test_a_quality_floor_holds(api: TestClient, services: Services, steel: ModelVersion) -> None:
    services.registry.set_quality_floor(steel, QualityFloor(score=0.3, set_at=now()))
    answer = api.post("/compositions", json=BODY)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:flawsmith:no-image-scores")
    (services.registry.folder(steel) / "image-scores.npz").write_bytes(b"")
    assert api.post("/compositions", json=BODY).json()["config"]["floor"] == 0.3


def test_an_archive_with_a_withdrawn_image_is_gone(api: TestClient, services: Services, steel: ModelVersion) -> None:
    job = services.jobs.get(api.post("/compositions", json=BODY).json()["id"], KIND)
    folder, held = JobFolder(services.store, job.id), HeldAddresses()
    for seed in (9, 3, 4):
        held.add("steel@2", "pits", seed)
    services.store.write_bytes(archive_file(folder), CONTENT)
    services.store.write_bytes(addresses_file(folder), held.to_bytes())
    result = CompositionResult(images=10, defects={}, splits={}, left_out={}, bytes=len(CONTENT), sha256="abc")
    with services.jobs.lease(job.id) as lease:
        assert lease is not None
        services.jobs.begin(lease, "worker")
        services.jobs.finish(lease, JobState.SUCCEEDED, "composed", result=result)
    services.registry.withdraw(steel, Address("pits", 5), "another one")
    assert api.get(f"/compositions/{job.id}/archive").status_code == 200
    parent = services.registry.resolve("steel@1")
    services.registry.withdraw(parent, Address("pits", 4), "shows a person")
    answer = api.get(f"/compositions/{job.id}/archive")
    assert answer.status_code == 410
    assert "seed 4 of 'pits': shows a person" in answer.json()["detail"]
    answer = api.post("/exports", json={"composition": job.id, "layout": "yolo"})
    assert (answer.status_code, answer.json()["withdrawn"][0]["seed"]) == (410, 4)
