"""A version's quality report: made after its training by the real worker, and again on demand."""

from typing import Any

import pytest
from tests.conftest import Service, photograph, until, zipped

from flawsmith.core.domain.job_kinds.report import STAGES
from flawsmith.core.domain.quality_report import QualityReport


@pytest.fixture(scope="module")
def reported(service: Service) -> str:
    """The path of a version's report that followed its training by itself."""
    files = {f"<b>{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "pits") for i in range(6)}
    assert service.upload("reported", zipped(files)).status_code == 201
    job = service.train("reported", "reported")
    assert job["state"] == "succeeded", job
    path = f"/models/{job['produced'].replace('@', '/versions/')}/report"
    waiting = service.client.get(path)
    assert waiting.status_code == 200 or "is being made" in waiting.json()["detail"]
    until(lambda: service.client.get(path).status_code == 200, 120, "the report is made")
    return path


def report_jobs(service: Service) -> list[dict[str, Any]]:
    jobs = service.client.get("/reports").json()["items"]
    return [job for job in jobs if job["version"] == "reported@1"]


def test_the_report_follows_the_training(service: Service, reported: str) -> None:
    found = service.client.get(reported).json()
    report = QualityReport.model_validate(found)
    version = service.client.get(reported.removesuffix("/report")).json()
    assert found["verdict"] == version["verdict"]
    assert report.version == "reported@1"
    assert report.leading in {each.name for each in report.measures}
    assert {each.type for each in report.measures} >= {"<b>dents", "<b>pits"}
    assert set(found["coverage"]) == {"direction", "brightness"}
    assert {"from", "to", "photographs", "samples"} == set(found["coverage"]["direction"][0])
    assert len(report.copies.worst) == 12
    worst = report.copies.worst[0]
    image = f"{reported.removesuffix('report')}images/{worst.seed}.png"
    assert service.client.get(image, params={"defect_type": worst.defect_type}).status_code == 200


def test_its_page_stands_alone(service: Service, reported: str) -> None:
    page = service.client.get(f"{reported}.html").text
    assert "Quality report of reported@1" in page
    assert "&lt;b&gt;dents" in page
    assert "<b>dents" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_one_job_made_it(service: Service, reported: str) -> None:
    [job] = report_jobs(service)
    assert (job["state"], job["report"]) == ("succeeded", reported)
    assert job["progress"]["step"] == job["progress"]["total_steps"] == len(STAGES)


def test_it_can_be_made_again(service: Service, reported: str) -> None:
    before = service.client.get(reported)
    answer = service.client.post(reported)
    assert answer.status_code == 202
    path = answer.headers["location"]
    until(lambda: service.client.get(path).json()["state"] == "succeeded", 120, "the report is made again")
    after = service.client.get(reported)
    assert after.headers["etag"] != before.headers["etag"]
    assert {**after.json(), "created_at": None} == {**before.json(), "created_at": None}
