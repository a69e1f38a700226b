"""The history of a training job as JSON and as a table."""

import csv
import io

import pytest
from starlette.testclient import TestClient

from flawsmith.core.services import Services


@pytest.fixture
def place(api: TestClient, services: Services, job: str) -> str:
    points = [{"step": 1, "loss": 0.1, "distance": 1e-7}, {"step": 2, "loss": float("nan")}, {"step": 40, "loss": 2.0}]
    services.history.record(job, points)
    return f"/training-jobs/{job}/history"


@pytest.mark.parametrize(
    ("accept", "query", "media_type"),
    [
        (None, "", "application/json"),
        ("*/*", "", "application/json"),
        ("text/csv", "", "text/csv"),
        ("text/*", "", "text/csv"),
        ("text/csv;q=0.5, application/json", "", "application/json"),
        ("text/csv, application/json;q=0.9", "", "text/csv"),
        ("text/html", "?format=csv", "text/csv"),
        ("text/csv", "?format=json", "application/json"),
    ],
)
def test_accept_or_format_chooses(api: TestClient, place: str, accept: str | None, query: str, media_type: str) -> None:
    answer = api.get(place + query, headers={"Accept": accept} if accept else {})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.headers["vary"] == "Accept"


def test_the_table_says_what_the_json_says(api: TestClient, place: str) -> None:
    table = api.get(place, headers={"Accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == f'attachment; filename="{place.split("/")[2]}.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert table.text.endswith("\r\n")
    assert rows == [
        {"step": "1", "loss": "0.1", "distance": "1e-07"},
        {"step": "2", "loss": "", "distance": ""},
        {"step": "40", "loss": "2.0", "distance": ""},
    ]
    as_json = api.get(place).json()
    assert as_json == {"steps": [1, 2, 40], "series": {"loss": [0.1, None, 2.0], "distance": [1e-7, None, None]}}


def test_a_job_without_history_is_a_table_without_rows(api: TestClient, job: str) -> None:
    assert api.get(f"/training-jobs/{job}/history?format=csv").text == "step\r\n"


def test_another_media_type_is_406_and_another_format_422(api: TestClient, place: str) -> None:
    refused = api.get(place, headers={"Accept": "application/xml"})
    assert (refused.status_code, refused.json()["type"]) == (406, "urn:flawsmith:not-acceptable")
    assert "application/json, text/csv" in refused.json()["detail"]
    wrong = api.get(f"{place}?format=xml")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/query/format")
    assert api.get("/training-jobs/job-none/history?format=csv").status_code == 404


@pytest.mark.parametrize("format", ["csv", "json"])
def test_it_is_sent_again_only_where_it_has_grown(api: TestClient, services: Services, place: str, format: str) -> None:
    url = f"{place}?format={format}"
    first, head = api.get(url), api.head(url)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    assert head.headers["content-length"] == str(len(first.content))
    again = api.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["vary"]) == (304, b"", "Accept")
    services.history.record(place.split("/")[2], [{"step": 41, "loss": 3.0}])
    assert api.get(url, headers={"If-None-Match": first.headers["etag"]}).status_code == 200
