"""Copies and withdrawn images, with every process real: near images are refused, withdrawn ones are gone."""

import base64
import os
import shutil
import signal
import statistics
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.images import decode_pixels
from flawsmith.core.store.reference_photographs import FILE, ReferencePhotographs
from flawsmith.core.store.registry import Registry

JSON = {"Accept": "application/json"}
PHOTOGRAPHS = {f"{kind}/part {i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "pits") for i in range(6)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with `steel@1`, trained on six photographs of each of two types."""
    service = start_service(tmp_path_factory.mktemp("copies"))
    assert service.upload("steel", zipped(PHOTOGRAPHS)).status_code == 201
    assert service.train("steel", "steel")["state"] == "succeeded"
    yield service
    stop_service(service)


def generate(site: Service, query: str = "", **body: Any) -> httpx2.Response:
    return site.client.post(f"/generate{query}", json={"model": "steel@1", **body}, headers=JSON)


def images(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return list(answer.json()["images"])


def similarities(site: Service, seed: int, count: int) -> dict[int, float]:
    """Of the pits at these seeds."""
    answer = generate(site, seed=seed, count=count, defect_type="pits", max_similarity=0)
    assert answer.status_code == 409, answer.text
    return {each["seed"]: each["similarity"] for each in answer.json()["refused"]}


def test_a_trained_version_names_the_photographs_that_it_was_trained_on(site: Service) -> None:
    found = images(generate(site, "?nearest=true", seed=0, count=20))
    for each in found:
        assert each["nearest"]["file"] in PHOTOGRAPHS
        assert 0 < each["nearest"]["distance"] < 2
        assert 0 <= each["nearest"]["percentile"] <= 100
    again = [images(generate(site, "?nearest=true&data=false", seed=seed))[0]["nearest"] for seed in range(20)]
    assert again == [each["nearest"] for each in found]


def test_0_refuses_every_image_and_1_none(site: Service) -> None:
    refused = generate(site, count=2, max_similarity=0)
    assert refused.status_code == 409, refused.text
    assert refused.headers["x-refused"] == "42"
    assert len(images(given := generate(site, count=2, max_similarity=1))) == 2
    assert given.headers["x-refused"] == "0"


def test_by_seed_a_threshold_between_two_images_refuses_the_nearer_one(site: Service) -> None:
    found = similarities(site, 100, 8)
    farther, nearer = sorted(found, key=lambda seed: found[seed])[-2:]
    between = (found[farther] + found[nearer]) / 2
    refused = generate(site, seed=100, count=8, defect_type="pits", max_similarity=between)
    assert refused.status_code == 409
    assert [each["seed"] for each in refused.json()["refused"]] == [nearer]
    plain = images(generate(site, seed=farther, defect_type="pits"))
    assert images(generate(site, seed=farther, defect_type="pits", max_similarity=between)) == plain


def test_new_images_pass_and_say_how_many_did_not(site: Service) -> None:
    median = statistics.median(similarities(site, 0, 60).values())
    answer = generate(site, count=30, defect_type="pits", max_similarity=median)
    given = images(answer)
    assert len({each["seed"] for each in given}) == 30
    assert int(answer.headers["x-refused"]) > 0
    for each in given:
        asked = generate(site, seed=each["seed"], defect_type="pits", max_similarity=median)
        assert images(asked)[0]["data"] == each["data"]


def test_images_that_are_copies_of_photographs_are_called_so(site: Service) -> None:
    """A version whose photographs are its own images at the seeds 0 to 3."""
    pngs = [base64.b64decode(each["data"]) for each in images(generate(site, seed=0, count=4))]
    registry = Registry(ArtifactStore(site.data_dir / "artifacts"))
    version = registry.resolve("steel@1")
    pixels = np.stack([decode_pixels(png).reshape(32, 32, 1) for png in pngs])
    with registry.store.staged() as staged:
        shutil.copy(registry.weights("steel", 1), staged)
        references = ReferencePhotographs.of(pixels, np.arange(4) % 2, version.classes, ["0", "1", "2", "3"])
        references.save(staged / FILE)
        card = version.model_dump(exclude={"model", "version", "created_at"}) | {"training_job": "job-copies"}
        registry.publish("copier", staged, **card)
    refused = generate(site, model="copier@1", seed=2, count=4, max_similarity=0.99)
    assert [(each["seed"], each["similarity"]) for each in refused.json()["refused"]] == [(2, 1.0), (3, 1.0)]
    [copy] = images(generate(site, "?nearest=true", model="copier@1", seed=3))
    assert copy["nearest"] == {"file": "3", "distance": 0.0, "percentile": 0.0}


def test_a_withdrawn_address_is_gone_and_stays_so_after_a_restart(site: Service) -> None:
    path = "/models/steel/versions/1/images/41.png"

    def statuses() -> list[int]:
        by_url = site.client.get(path, params={"defect_type": "dents"})
        return [by_url.status_code, generate(site, seed=40, count=2, defect_type="dents").status_code]

    assert statuses() == [200, 200]
    reason = {"defect_type": "dents", "reason": "a customer's part"}
    assert site.client.delete(path, params=reason).status_code == 204
    assert statuses() == [410, 410]
    site.redis.flushall()
    api = until(lambda: site.pid("api"), 10, "the API runs")
    os.kill(api, signal.SIGTERM)
    until(lambda: site.pid("api") not in (None, api) and site.ready(), 30, "the API is back")
    assert statuses() == [410, 410]
    assert "a customer's part" in site.client.get(path, params={"defect_type": "dents"}).json()["detail"]
    assert len(images(generate(site, seed=42, defect_type="dents"))) == 1


def test_without_the_dataset_nothing_is_left_to_compare_with(site: Service) -> None:
    assert site.upload("zinc", zipped({f"{i}.png": photograph(500 + i) for i in range(4)})).status_code == 201
    assert site.train("zinc", "zinc")["state"] == "succeeded"
    assert images(generate(site, "?nearest=true", model="zinc@1", seed=1))
    assert site.client.delete("/datasets/zinc").headers["x-affected-versions"] == "zinc@1"
    for body in ({"max_similarity": 0.5}, {"max_similarity": 0.5, "seed": 1}):
        answer = generate(site, model="zinc@1", **body)
        assert answer.status_code == 409
        assert "zinc@1 has no reference photographs" in answer.json()["detail"]
    assert images(generate(site, model="zinc@1", seed=1))
