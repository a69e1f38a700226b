"""What every request leaves behind: its id, a log line, a count and a latency."""

import logging

import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from flawsmith.app import problems
from flawsmith.app.instrumentation import Instrumentation


@pytest.fixture
def client() -> TestClient:
    """A client of an instrumented application with one route that answers and one that has a bug."""
    app = FastAPI()
    problems.install(app)

    @app.get("/things/{name}")
    async def thing(name: str) -> str:
        return name

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("a bug")

    return TestClient(Instrumentation(app), raise_server_exceptions=False)


def test_a_made_up_method_does_not_become_a_label(client: TestClient) -> None:
    for number in range(5):
        client.request(f"MADEUP{number}", "/things/a")
    labels = {sample.labels.get("method") for metric in REGISTRY.collect() for sample in metric.samples}
    assert "other" in labels
    assert not any(label and label.startswith("MADEUP") for label in labels)


def requests(route: str, status: int) -> float:
    labels = {"method": "GET", "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("flawsmith_http_requests_total", labels) or 0.0


@pytest.mark.parametrize("path", ["/things/a", "/bug", "/nowhere"])
def test_a_request_id_is_returned_as_given(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"X-Request-ID": "trace-1"}).headers["x-request-id"] == "trace-1"


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 300, "a\tb", "line%0abreak;"])
def test_a_missing_or_unsafe_request_id_is_replaced(client: TestClient, given: str | None) -> None:
    first, second = (
        client.get("/things/a", headers={} if given is None else {"X-Request-ID": given}).headers["x-request-id"]
        for _ in range(2)
    )
    assert first != second
    assert len(first) == len(second) == 32


def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    before = requests("/things/{name}", 200), requests("/bug", 500), requests("unknown", 404)
    for path in ("/things/a", "/things/b", "/bug", "/nowhere"):
        client.get(path)
    after = requests("/things/{name}", 200), requests("/bug", 500), requests("unknown", 404)
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 1, 1]


def test_a_request_is_one_log_line_with_its_path_quoted(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "flawsmith.access"):
        client.get("/things/a%0Ab")
    [line] = [record.getMessage() for record in caplog.records if record.name == "flawsmith.access"]
    assert line.startswith("GET /things/a%0Ab 200 ")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_is_logged_only_when_it_fails(path: str, caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()

    @app.get(path)
    async def probe(status: int) -> JSONResponse:
        return JSONResponse({}, status)

    with caplog.at_level(logging.INFO, "flawsmith.access"), TestClient(Instrumentation(app)) as client:
        client.get(path, params={"status": 200})
        client.get(path, params={"status": 503})
    assert [record.getMessage().split(" ")[:3] for record in caplog.records if record.name == "flawsmith.access"] == [
        ["GET", path, "503"]
    ]
