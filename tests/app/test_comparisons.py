"""The comparison of two versions over HTTP, without a worker."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped
from tests.published_versions import GOOD, publish

from flawsmith.core.domain.records import now
from flawsmith.core.domain.version_comparison import VersionComparison
from flawsmith.core.services import Services
from flawsmith.core.store.version_comparisons import save_comparison

COMPARE = "/models/scratches/versions/2/compare"


@pytest.fixture
def pits(api: TestClient, services: Services) -> str:
    """A data set of pits, on which two versions of `scratches` were trained; the value is its id."""
    found = uploaded(api, "pits", {f"pits/{number}.png": photograph(number) for number in range(3)})
    for number in (1, 2):
        publish(services.registry, f"job-{number}", classes=["pits"], dataset_digest=found["digest"])
    return str(found["id"])


def uploaded(api: TestClient, name: str, files: dict[str, bytes]) -> dict[str, Any]:
    answer = api.post("/datasets", data={"name": name}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def comparison(dataset: str) -> VersionComparison:
    return VersionComparison(
        versions=("scratches@2", "scratches@1"),
        dataset=dataset,
        created_at=now(),
        resolution=32,
        classes=["pits"],
        leading="ridges",
        measures=[],
        verdicts=(GOOD, GOOD),
        sentence="No difference that these photographs can show.",
        trained_on_by=[],
        notes=[],
        n=3,
    )


def test_a_comparison_is_enqueued_once_until_it_is_there(api: TestClient, services: Services, pits: str) -> None:
    answer = api.get(COMPARE, params={"with": 1})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/comparisons/{job['id']}"
    assert int(answer.headers["retry-after"]) > 0
    assert (job["state"], job["versions"], job["dataset"]) == ("queued", ["scratches@2", "scratches@1"], pits)
    assert api.get(answer.headers["location"]).json() == job
    assert api.get(COMPARE, params={"with": 1, "dataset": "pits"}).json()["id"] == job["id"]
    assert len(api.get("/comparisons").json()["items"]) == 1

    made = comparison(pits)
    save_comparison(
        services.registry.folder(services.registry.version("scratches", "2")), 1, made, services.store.write_bytes
    )
    there = api.get(COMPARE, params={"with": 1})
    assert there.status_code == 200
    assert there.json() == made.model_dump(mode="json")
    assert api.get(COMPARE, params={"with": 1}, headers={"If-None-Match": there.headers["etag"]}).status_code == 304


@pytest.mark.usefixtures("pits")
def test_calls_at_the_same_time_make_one_job(api: TestClient) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: api.get(COMPARE, params={"with": 1}), range(8)))
    assert len({each.json()["id"] for each in answers}) == 1
    assert len(api.get("/comparisons").json()["items"]) == 1


@pytest.mark.usefixtures("pits")
def test_another_data_set_is_another_comparison(api: TestClient) -> None:
    others = uploaded(api, "others", {f"pits/{number}.png": photograph(50 + number) for number in range(4)})
    first = api.get(COMPARE, params={"with": 1}).json()
    second = api.get(COMPARE, params={"with": 1, "dataset": "others"}).json()
    assert second["dataset"] == others["id"]
    assert second["id"] != first["id"]


@pytest.mark.usefixtures("pits")
@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ({}, 422, "with"),
        ({"with": "2"}, 422, "the others: 1"),
        ({"with": "7"}, 404, "its versions: 2, 1"),
        ({"with": "x"}, 404, "its versions: 2, 1"),
        ({"with": "1", "dataset": "nothing"}, 404, "datasets: pits"),
        ({"with": "1", "wiht": "1"}, 422, "the known ones are with, dataset"),
    ],
)
def test_refusals_say_what_would_be_right(api: TestClient, query: dict[str, str], status: int, detail: str) -> None:
    answer = api.get(COMPARE, params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.text
    assert api.get("/comparisons").json()["items"] == []


def test_versions_without_a_common_type_are_refused(api: TestClient, services: Services, pits: str) -> None:
    publish(services.registry, "job-3", classes=["dents"])
    answer = api.get("/models/scratches/versions/3/compare", params={"with": 1, "dataset": pits})
    assert answer.status_code == 422
    assert "scratches@3 makes dents; scratches@1 makes pits" in answer.json()["detail"]


@pytest.mark.usefixtures("pits")
def test_a_data_set_of_other_types_is_refused(api: TestClient) -> None:
    uploaded(api, "dents", {f"dents/{number}.png": photograph(90 + number) for number in range(3)})
    answer = api.get(COMPARE, params={"with": 1, "dataset": "dents"})
    assert answer.status_code == 422
    assert "it has 3 of 'dents'" in answer.json()["detail"]


def test_without_the_photographs_another_data_set_must_be_named(api: TestClient, pits: str) -> None:
    assert api.delete(f"/datasets/{pits}").status_code == 204
    answer = api.get(COMPARE, params={"with": 1})
    assert answer.status_code == 409
    assert "name another data set" in answer.json()["detail"]


@pytest.mark.usefixtures("pits")
def test_a_cancelled_comparison_says_how_to_go_on(api: TestClient) -> None:
    job = api.get(COMPARE, params={"with": 1}).json()["id"]
    assert api.post(f"/comparisons/{job}/cancel").status_code == 202
    answer = api.get(COMPARE, params={"with": 1})
    assert answer.status_code == 409
    assert f"POST /comparisons/{job}/resume" in answer.json()["detail"]
    assert api.delete(f"/comparisons/{job}").status_code == 204
    assert api.get(COMPARE, params={"with": 1}).json()["id"] != job
