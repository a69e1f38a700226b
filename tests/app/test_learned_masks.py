"""A training job that asks for masks is resolved, or refused with what would be right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped
from tests.core.store import trees
from tests.published_versions import publish
from tests.tiny_priors import TINY, write_tiny_prior

from flawsmith.core.services import Services

BODY: dict[str, Any] = {"dataset": "set", "model": "m", "resolution": 32, "overrides": TINY}
PAIRS = {f"images/{i}.png": photograph(i) for i in range(9)}
PAIRS |= {f"masks/{i}.png": trees.mask((4 + i, 6, 8, 3)) for i in range(6)}


@pytest.fixture
def api(make_api: Callable[..., TestClient], tmp_path: Path) -> TestClient:
    """With a prior, `set` of nine photographs and six masks, `boxes` with boxes, and `plain` without annotations."""
    write_tiny_prior(tmp_path / "priors")
    api = make_api(priors_dir=tmp_path / "priors")
    plain = {f"pits/{i}.png": photograph(i) for i in range(9)}
    for name, files in {"set": PAIRS, "boxes": trees.voc(), "plain": plain}.items():
        answer = api.post("/datasets", data={"name": name}, files={"archive": zipped(files)})
        assert answer.status_code == 201, answer.text
    return api


def refused(api: TestClient, **changes: Any) -> str:
    answer = api.post("/training-jobs", json={**BODY, **changes})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == "/labels"
    return str(answer.json()["detail"])


def submitted(api: TestClient, **changes: Any) -> Any:
    answer = api.post("/training-jobs", json={**BODY, **changes})
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_a_job_learns_masks_from_the_prior_and_says_of_how_many_photographs(api: TestClient) -> None:
    job = submitted(api, labels="mask", crop={"around": "middle"})
    assert job["config"]["labels"] == "mask"
    assert job["config"]["start"] == "prior"
    assert "learns the masks of 6 of 9 photographs together with the images" in job["notes"]
    assert any("6 masks are few" in note for note in job["notes"])
    estimate = api.post("/training-jobs?dry_run=true", json={**BODY, "labels": "mask"}).json()["estimate"]
    assert estimate["memory_bytes"] > 0


def test_a_type_without_masks_is_named(api: TestClient) -> None:
    files = {f"images/{name}/{i}.png": photograph(10 * i + len(name)) for name in ("dents", "pits") for i in range(4)}
    files |= {f"masks/pits/{i}.png": trees.mask((4 + i, 6, 8, 3)) for i in range(4)}
    answer = api.post("/datasets", data={"name": "half"}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    notes = submitted(api, dataset="half", labels="mask", crop={"around": "middle"})["notes"]
    assert "no photograph of 'dents' has masks, so those of its images are guesses" in notes


@pytest.mark.parametrize("labels", [{}, {"labels": None}, {"labels": "none"}])
def test_without_the_key_a_job_is_as_it_was(api: TestClient, labels: dict[str, Any]) -> None:
    config = submitted(api, **labels)["config"]
    assert "labels" not in config
    assert submitted(api, labels="mask")["config"] == {**config, "labels": "mask"}


def test_a_note_says_that_masks_could_be_learned(api: TestClient) -> None:
    assert any('"labels": "mask"' in note for note in submitted(api)["notes"])
    for others in (
        {"labels": "none"},
        {"dataset": "plain"},
        {"dataset": "boxes"},
        {"preset": "dcgan", "overrides": {}},
    ):
        assert not any('"labels"' in note for note in submitted(api, **others)["notes"]), others


@pytest.mark.parametrize("dataset", ["plain", "boxes"])
def test_photographs_without_masks_teach_none(api: TestClient, dataset: str) -> None:
    detail = refused(api, labels="mask", dataset=dataset)
    assert f"no photograph of '{dataset}' has masks" in detail
    assert "POST /models/NAME/versions/V/labels" in detail


def test_presets_and_networks_that_learn_none(api: TestClient) -> None:
    detail = refused(api, labels="mask", preset="dcgan", overrides={})
    assert detail == "preset 'dcgan' learns no masks; those that do: fewshot"
    assert "wavelet" in refused(api, labels="mask", overrides={**TINY, "wavelet": True})


def test_other_labels_are_refused(api: TestClient) -> None:
    for labels in ("box", True, "masks"):
        answer = api.post("/training-jobs", json={**BODY, "labels": labels})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/labels")


def test_a_version_trained_with_masks_goes_on_with_masks(api: TestClient, services: Services) -> None:
    job = submitted(api, labels="mask", crop={"around": "middle"})
    card = {"classes": job["config"]["classes"], "resolution": 32, "preset": "fewshot", "labels": "mask"}
    publish(services.registry, "job-1", "m", **card, config=job["config"])
    again = submitted(api, init_from="m@1", crop={"around": "middle"}, overrides={})
    assert again["config"]["labels"] == "mask"
    assert "m@1 makes masks" in refused(api, init_from="m@1", overrides={}, labels="none")
    assert "no photograph of 'plain' has masks" in refused(api, init_from="m@1", overrides={}, dataset="plain")
