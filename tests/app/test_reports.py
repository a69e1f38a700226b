"""The calls of quality reports, on an API without workers."""

import json

import pytest
from starlette.testclient import TestClient
from tests.published_versions import publish

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.version_report import save_report

REPORT = "/models/steel/versions/1/report"
PAGE = f"{REPORT}.html"


@pytest.fixture
def reported(services: Services, dataset: str) -> ModelVersion:
    """`steel@1`, whose photographs are those of `dataset`, with a report."""
    version = trained_on(services, dataset)
    save_report(
        services.registry.folder(version), {"version": "steel@1"}, "<!doctype html>", services.store.write_bytes
    )
    return version


def trained_on(services: Services, dataset: str) -> ModelVersion:
    digest = services.datasets.get(dataset).digest
    return publish(services.registry, "job-1", "steel", classes=["pits"], dataset_digest=digest)


@pytest.mark.usefixtures("reported")
def test_json_and_page(api: TestClient) -> None:
    assert api.get(REPORT).json() == {"version": "steel@1"}
    page = api.get(PAGE)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-cache"


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize("path", [REPORT, PAGE])
def test_a_current_copy_is_not_sent_again(api: TestClient, path: str) -> None:
    etag = api.get(path).headers["etag"]
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 304
    head = api.head(path)
    assert (head.status_code, head.headers["etag"], head.content) == (200, etag, b"")


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize("path", [REPORT, PAGE])
def test_without_a_report_the_answer_says_how_to_get_one(api: TestClient, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == f"no report of steel@1 was made yet; POST {REPORT} makes it"


def test_an_unknown_version_has_none(api: TestClient) -> None:
    assert "no model 'steel'" in api.get(REPORT).json()["detail"]
    assert api.post(REPORT).status_code == 404


def test_a_report_is_made_by_a_job(api: TestClient, services: Services, dataset: str) -> None:
    trained_on(services, dataset)
    answer = api.post(REPORT)
    assert answer.status_code == 202
    job = api.get(answer.headers["location"]).json()
    assert (job["state"], job["version"], job["dataset"], job["kind"]) == ("queued", "steel@1", dataset, "report")
    assert f"is being made ({answer.headers['location']}: 0 of " in api.get(REPORT).json()["detail"]
    assert api.post(REPORT).headers["location"] == answer.headers["location"]  # it is under way
    assert api.delete(f"/datasets/{dataset}").status_code == 409  # the job reads it


def test_a_cancelled_report_says_so_and_can_be_made_again(api: TestClient, services: Services, dataset: str) -> None:
    trained_on(services, dataset)
    first = api.post(REPORT).headers["location"]
    assert api.post(f"{first}/cancel").status_code == 202
    assert "was cancelled" in api.get(REPORT).json()["detail"]
    assert api.post(REPORT).headers["location"] != first


@pytest.mark.usefixtures("reported")
def test_the_earlier_report_is_shown_while_a_new_one_is_made(api: TestClient) -> None:
    assert api.post(REPORT).status_code == 202
    assert api.get(REPORT).status_code == 200


@pytest.mark.usefixtures("version")
def test_without_photographs_there_is_no_report(api: TestClient) -> None:
    answer = api.post(REPORT)
    assert answer.status_code == 409
    assert "upload them again" in answer.json()["detail"]


def test_a_deleted_version_takes_its_report_along(api: TestClient, services: Services, reported: ModelVersion) -> None:
    folder = services.registry.folder(reported)
    assert api.delete("/models/steel/versions/1").status_code == 204
    with pytest.raises(FileNotFoundError):
        save_report(folder, {}, "", services.store.write_bytes)
    assert api.get(REPORT).status_code == 404


def test_the_document_describes_the_report(api: TestClient) -> None:
    document = api.get("/openapi.json").json()
    schema = json.dumps(document["paths"]["/models/{name}/versions/{version}/report"]["get"]["responses"]["200"])
    assert "QualityReport" in schema
    report = document["components"]["schemas"]["QualityReport"]
    assert {"verdict", "measures", "copies", "coverage"} <= report["properties"].keys()
    assert "Members: name, type, value" in report["properties"]["measures"]["items"]["description"]
