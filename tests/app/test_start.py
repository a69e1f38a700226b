"""A training job says what it begins with, and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped
from tests.published_versions import publish
from tests.tiny_priors import TINY, write_tiny_prior

from flawsmith.core.domain.priors import PriorCard
from flawsmith.core.services import Services

BODY: dict[str, Any] = {"dataset": "set", "model": "m", "resolution": 32, "overrides": TINY}


@pytest.fixture
def prior(tmp_path: Path) -> PriorCard:
    return write_tiny_prior(tmp_path / "priors")


@pytest.fixture
def api(make_api: Callable[..., TestClient], prior: PriorCard, tmp_path: Path) -> TestClient:
    """With one prior, and the dataset `set`."""
    api = make_api(priors_dir=tmp_path / "priors")
    files = {f"pits/{number}.png": photograph(number) for number in range(9)}
    assert api.post("/datasets", data={"name": "set"}, files={"archive": zipped(files)}).status_code == 201
    return api


def submitted(api: TestClient, **changes: Any) -> Any:
    answer = api.post("/training-jobs", json={**BODY, **changes})
    assert answer.status_code == 202, answer.text
    return answer.json()


@pytest.mark.parametrize("start", [None, "prior"])
def test_a_job_starts_from_the_prior_that_fits(api: TestClient, prior: PriorCard, start: str | None) -> None:
    job = submitted(api, start=start)
    assert (job["config"]["start"], job["config"]["prior"]) == ("prior", prior.weights_sha256)
    assert job["notes"] == ["starts from the prior for 32 px gray, learned from drawn surfaces"]
    assert api.get(f"/training-jobs/{job['id']}").json()["notes"] == job["notes"]


def test_a_job_can_start_from_nothing(api: TestClient) -> None:
    job = submitted(api, start="nothing")
    assert (job["config"]["start"], job["config"]["prior"]) == ("nothing", None)
    assert job["notes"] == ["starts from nothing, as the request says"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"overrides": {**TINY, "generator_width": 3}}, "has generator_width 2, not 3"),
        (
            {"resolution": 64, "overrides": {"narrow_ends": True}},
            "the prior for 64 px gray has narrow_ends False, not True",
        ),
        ({"preset": "dcgan", "overrides": {}}, "no prior of preset 'dcgan'"),
    ],
)
def test_without_a_prior_that_fits_a_job_starts_from_nothing_and_says_why(
    api: TestClient, changes: dict[str, Any], reason: str
) -> None:
    job = submitted(api, **changes)
    assert job["config"]["start"] == "nothing"
    assert job["notes"][0].startswith("starts from nothing: ")
    assert reason in job["notes"][0]
    refused = api.post("/training-jobs", json={**BODY, **changes, "start": "prior"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/start"
    assert reason in refused.json()["detail"]
    assert "'nothing'" in refused.json()["detail"]


def test_the_reason_names_the_shapes_that_there_are(api: TestClient) -> None:
    refused = api.post("/training-jobs", json={**BODY, "resolution": 256, "start": "prior"})
    assert "no prior for 256 px gray; there are: " in refused.json()["detail"]
    assert "32 px gray" in refused.json()["detail"]
    assert "set 'resolution' to 32 or 64 or 128;" in refused.json()["detail"]


def test_a_job_starts_from_a_version_or_from_a_prior(api: TestClient) -> None:
    refused = api.post("/training-jobs", json={**BODY, "start": "prior", "init_from": "m@1"})
    assert refused.status_code == 422
    assert "two ways to begin" in refused.json()["detail"]


def test_the_schema_lists_what_a_job_can_start_from(api: TestClient) -> None:
    start = api.get("/training-jobs/schema").json()["properties"]["start"]
    assert start["default"] is None
    assert {"enum": ["prior", "nothing"], "type": "string"} in start["anyOf"]


def test_a_version_whose_prior_is_gone_is_not_trained_again(api: TestClient) -> None:
    services: Services = api.app.state.services  # type: ignore[attr-defined]
    config = {"prior": "0123456789abcdef", "start": "prior", "total_steps": 6}
    publish(services.registry, "job-1", "old", classes=["pits"], preset="fewshot", config=config)
    continued = {**config, "init_from": "old@1"}
    publish(services.registry, "job-2", "continued", classes=["pits"], preset="fewshot", config=continued)
    body: dict[str, Any] = {"dataset": "set", "per_type": [2], "ratios": [1.0], "repeats": 2}
    refused = api.post("/models/old/versions/1/evaluations", json=body)
    assert refused.status_code == 422
    assert "0123456789ab… " in refused.json()["detail"]
    assert refused.json()["errors"][0]["pointer"] == "/retrain"
    answer = api.post("/models/continued/versions/1/evaluations", json=body)
    assert answer.status_code == 202, "it is trained again from old@1, which is there"


def test_a_damaged_file_in_the_folder_is_passed_over(
    make_api: Callable[..., TestClient], prior: PriorCard, tmp_path: Path
) -> None:
    folder = tmp_path / "priors"
    (folder / "a.safetensors").write_bytes(b"no safetensors")
    services: Services = make_api(priors_dir=folder).app.state.services  # type: ignore[attr-defined]
    assert services.priors.cards[0] == prior
