"""What a bare model name serves: the alias `production`, else the newest version that is not failing, else nothing."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.conftest import SMALL_JOB
from tests.published_versions import FAILING, GOOD, publish

from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.services import Services


def generate(api: TestClient, model: str) -> Any:
    return api.post("/generate?data=false", json={"model": model}, headers={"Accept": "application/json"})


def finished_job(services: Services, model: str, **fields: Any) -> str:
    """A job that succeeded, as a worker leaves it; returns its id."""
    job = services.jobs.create(
        KIND.new_job(config={}, progress=TrainingProgress(total_steps=1), model=model, dataset="ds-1", preset="dcgan")
    )
    with services.jobs.lease(job.id) as lease:
        assert lease is not None
        services.jobs.begin(lease, "worker")
        services.jobs.finish(lease, JobState.SUCCEEDED, "published", **fields)
    return job.id


def test_a_name_means_the_newest_version_that_is_not_failing(api: TestClient, services: Services) -> None:
    for number, verdict in enumerate([None, GOOD, FAILING, FAILING], 1):
        publish(services.registry, f"job-{number}", verdict=verdict)
    assert generate(api, "scratches").json()["model"] == "scratches@2"
    assert api.get("/models/scratches").json()["serves"] == 2
    assert generate(api, "scratches@4").json()["model"] == "scratches@4"
    assert api.get("/models/scratches/versions/4").json()["verdict"]["state"] == "failing"


def test_versions_of_earlier_releases_are_served_as_before(api: TestClient, services: Services) -> None:
    for job in ("job-1", "job-2"):
        publish(services.registry, job)
    assert generate(api, "scratches").json()["model"] == "scratches@2"


def test_where_every_version_is_failing_the_problem_has_the_reason_and_the_way_out(
    api: TestClient, services: Services
) -> None:
    for job in ("job-1", "job-2"):
        publish(services.registry, job, verdict=FAILING)
    answer = generate(api, "scratches")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    problem = answer.json()
    assert (problem["type"], problem["versions"]) == ("urn:flawsmith:only-failing", [2, 1])
    assert problem["reasons"] == FAILING.reasons
    for words in (FAILING.sentence, "Its versions: 2, 1.", "Ask for scratches@2", "'production'", "train longer"):
        assert words in problem["detail"]
    assert api.get("/models/scratches").json()["serves"] is None
    assert generate(api, "scratches@1").json()["model"] == "scratches@1"
    assert generate(api, "scratches@production").status_code == 404


def test_a_version_that_is_not_failing_is_served_as_soon_as_it_is_there(api: TestClient, services: Services) -> None:
    publish(services.registry, "job-1", verdict=FAILING)
    assert generate(api, "scratches").status_code == 409
    publish(services.registry, "job-2", verdict=GOOD)
    assert generate(api, "scratches").json()["model"] == "scratches@2"
    assert api.delete("/models/scratches/versions/2").status_code == 204
    assert generate(api, "scratches").status_code == 409


def test_the_alias_production_is_served_though_its_version_is_failing(api: TestClient, services: Services) -> None:
    publish(services.registry, "job-1", verdict=FAILING)
    publish(services.registry, "job-2", verdict=GOOD)
    body = {"version": 1, "override": "the customer wants them blurred"}
    assert api.put("/models/scratches/aliases/production", json=body).json()["serves"] == 1
    assert generate(api, "scratches").json()["model"] == "scratches@1"
    assert api.delete("/models/scratches/aliases/production").status_code == 204
    assert generate(api, "scratches").json()["model"] == "scratches@2"


def test_training_starts_from_a_failing_version_only_by_its_number(
    api: TestClient, services: Services, dataset: str
) -> None:
    def submit(**changes: Any) -> Any:
        return api.post("/training-jobs", json={"dataset": dataset, "model": "longer", **SMALL_JOB, **changes})

    first = submit().json()
    networks = {"classes": ["pits"], "config": first["config"]}
    publish(services.registry, first["id"], **networks, verdict=FAILING)
    refused = submit(init_from="scratches")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:flawsmith:only-failing")
    assert len(api.get("/training-jobs").json()["items"]) == 1
    assert submit(init_from="scratches@1").json()["config"]["init_from"] == "scratches@1"
    publish(services.registry, "job-2", **networks, verdict=GOOD)
    publish(services.registry, "job-3", **networks, verdict=FAILING)
    assert submit(init_from="scratches").json()["config"]["init_from"] == "scratches@2"


@pytest.mark.parametrize(("verdict", "served"), [(FAILING, False), (GOOD, True), (None, True)])
def test_a_job_says_its_versions_verdict_and_whether_the_name_means_it(
    api: TestClient, services: Services, verdict: Any, served: bool
) -> None:
    version = publish(services.registry, "job-1", verdict=verdict)
    job = finished_job(services, "scratches", produced=version.ref, verdict=version.verdict)
    for record in (api.get(f"/training-jobs/{job}").json(), api.get("/training-jobs").json()["items"][0]):
        assert record["verdict"] == (verdict and verdict.model_dump(mode="json"))
        assert record["served_by_name"] is served


def test_a_job_no_longer_says_that_the_name_means_its_version_once_it_means_another(
    api: TestClient, services: Services
) -> None:
    version = publish(services.registry, "job-1", verdict=GOOD)
    job = finished_job(services, "scratches", produced=version.ref, verdict=version.verdict)
    publish(services.registry, "job-2", verdict=GOOD)
    assert api.get(f"/training-jobs/{job}").json()["served_by_name"] is False
    for number in (1, 2):
        api.delete(f"/models/scratches/versions/{number}")
    assert api.get(f"/training-jobs/{job}").json()["served_by_name"] is False


def test_a_job_without_a_version_says_nothing_of_it(api: TestClient, job: str) -> None:
    record = api.get(f"/training-jobs/{job}").json()
    assert (record["produced"], record["verdict"], record["served_by_name"]) == (None, None, None)
