"""The quality floor with every process real: images below it are redrawn, and refused by address."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from tests.conftest import Service, start_service, stop_service, until, zipped

from flawsmith.core.demo_set import render_picture
from flawsmith.core.store.quality_floors import FILE

FLOOR = "/models/steel/versions/1/quality-floor"
IMAGES = "/models/steel/versions/1/images"
LOOKED_AT = 48  # images by seed
JSON = {"Accept": "application/json"}


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.array(render_picture("scratches", np.random.default_rng(seed), 48))).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with `steel@1`, trained for a few steps on 48 pictures of scratches."""
    service = start_service(tmp_path_factory.mktemp("floor"))
    pictures = zipped({f"scratches/{seed}.png": picture(seed) for seed in range(48)})
    assert service.upload("steel", pictures).status_code == 201
    assert service.train("steel", "steel")["state"] == "succeeded"
    yield service
    stop_service(service)


@pytest.fixture(autouse=True)
def without_floor(site: Service) -> None:
    assert site.client.delete(FLOOR).status_code == 204


def generate(site: Service, **body: Any) -> httpx2.Response:
    return site.client.post("/generate", json={"model": "steel@1", **body}, headers=JSON)


def images(answer: httpx2.Response) -> dict[int, str]:
    assert answer.status_code == 200, answer.text
    return {each["seed"]: each["data"] for each in answer.json()["images"]}


def scores(site: Service) -> dict[int, float]:
    """Of the images at the first seeds: a floor above all scores refuses each, and says its score."""
    assert site.client.put(FLOOR, json={"score": 100}).status_code == 200
    refused = until(lambda: _refused(site), 10, "the floor counts")
    assert refused.keys() == set(range(LOOKED_AT))
    assert site.client.delete(FLOOR).status_code == 204
    return refused


def _refused(site: Service) -> dict[int, float]:
    answer = generate(site, seed=0, count=LOOKED_AT)
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"] == "urn:flawsmith:below-quality-floor"
    return {each["seed"]: each["score"] for each in answer.json()["refused"]}


def middle(found: dict[int, float]) -> float:
    """A floor between two scores, that half of the images reach."""
    ordered = sorted(found.values())
    return (ordered[LOOKED_AT // 2 - 1] + ordered[LOOKED_AT // 2]) / 2


def set_floor(site: Service, score: float) -> dict[str, Any]:
    answer = site.client.put(FLOOR, json={"score": score})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_version_ships_what_its_images_are_scored_with(site: Service) -> None:
    found = site.client.get(FLOOR).json()
    assert (found["version"], found["score"], found["set_at"]) == ("steel@1", None, None)
    photographs, samples = (found["types"]["scratches"][each] for each in ("photographs", "samples"))
    assert photographs["median"] == pytest.approx(1, abs=0.01)
    assert photographs["below"] is samples["below"] is None
    assert samples["n"] == 64
    assert samples["median"] < photographs["tenth"]  # after so few steps


def test_by_address_images_below_the_floor_are_refused_and_the_others_stay(site: Service) -> None:
    before, found = images(generate(site, seed=0, count=LOOKED_AT)), scores(site)
    floor = middle(found)
    answer = set_floor(site, floor)
    assert answer["score"] == floor
    assert 0 < answer["types"]["scratches"]["samples"]["below"] < 1
    problem = generate(site, seed=0, count=LOOKED_AT)
    assert problem.status_code == 409
    below = {each["seed"]: each["score"] for each in problem.json()["refused"]}
    assert below == {seed: score for seed, score in found.items() if score < floor}
    assert "'seed'" in problem.json()["detail"]
    above = next(seed for seed in found if seed not in below)
    assert images(generate(site, seed=above)) == {above: before[above]}
    assert site.client.get(f"{IMAGES}/{above}.png").content == base64.b64decode(before[above])
    assert [site.client.get(f"{IMAGES}/{seed}.png").status_code for seed in list(below)[:3]] == [409] * 3
    assert site.client.delete(FLOOR).status_code == 204
    assert images(generate(site, seed=0, count=LOOKED_AT)) == before


def test_new_images_reach_the_floor_in_the_pool_too(site: Service) -> None:
    assert images(generate(site, count=16))
    floor = middle(scores(site))
    until(lambda: generate(site).headers["x-stock"] == "hit", 20, "there are images in the pool")
    set_floor(site, floor)
    first = generate(site, count=16)
    assert first.headers["x-stock"] != "hit"  # the pool held images that nobody had scored
    given = images(first)
    until(lambda: (more := generate(site)).headers["x-stock"] == "hit" and not given.update(images(more)), 20, "a hit")
    assert len(given) > 16
    for seed, data in given.items():
        assert images(generate(site, seed=seed)) == {seed: data}


def test_a_floor_that_no_image_reaches_is_said(site: Service) -> None:
    set_floor(site, 100)
    answer = generate(site, count=3)
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"] == "urn:flawsmith:below-quality-floor"
    for words in ("3 of 3 images", "steel@1, 100", "each time of 21", "lower the floor"):
        assert words in answer.json()["detail"]
    assert generate(site, count=3, deadline_seconds=30).status_code == 409  # and the service goes on


def test_the_first_answer_is_repeated_whatever_the_floor_is_now(site: Service) -> None:
    key = {"Idempotency-Key": "before the floor", **JSON}
    body = {"model": "steel@1", "count": 4}
    first = site.client.post("/generate", json=body, headers=key)
    set_floor(site, 100)
    assert images(site.client.post("/generate", json=body, headers=key)) == images(first)


def test_every_change_is_in_the_audit_log(site: Service) -> None:
    set_floor(site, 0.25)
    assert site.client.delete(FLOOR).status_code == 204
    lines = (site.data_dir / "artifacts" / "audit.jsonl").read_text().splitlines()
    events = [each for line in lines if (each := json.loads(line))["event"] == "quality_floor_set"]
    assert [each["score"] for each in events[-2:]] == [0.25, None]
    assert {each["version"] for each in events} == {"steel@1"}


def test_a_report_makes_the_scores_of_a_version_that_has_none(site: Service) -> None:
    """As an earlier release published it. This test comes last: it takes a file that was published."""
    before = scores(site)
    (site.data_dir / "artifacts" / "models" / "steel" / "versions" / "1" / FILE).unlink()
    assert site.client.get(FLOOR).json()["types"] == {"scratches": None}
    refused = site.client.put(FLOOR, json={"score": 0.2})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:flawsmith:no-image-scores")
    assert "POST /models/steel/versions/1/report" in refused.json()["detail"]
    report = site.client.post("/models/steel/versions/1/report")
    until(lambda: site.client.get(report.headers["location"]).json()["state"] == "succeeded", 120, "the report is made")
    assert scores(site) == before
