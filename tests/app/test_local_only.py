"""Without keys, the service serves this machine and no web page of a stranger."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from flawsmith.app.local_only import LocalOnly

PAGE = {"host": "localhost:8000", "origin": "https://evil.example", "sec-fetch-site": "cross-site"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    async def answer(request: Request) -> Response:
        return PlainTextResponse("served")

    route = Route("/{path:path}", answer, methods=["GET", "POST", "DELETE", "OPTIONS"])
    return TestClient(Starlette(routes=[route], middleware=[Middleware(LocalOnly)]))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8000"},
        {"host": "LOCALHOST"},
        {"host": "127.0.0.1:8000"},
        {"host": "127.8.9.1"},
        {"host": "[::1]:8000"},
        {"host": "flawsmith.localhost:8000"},  # RFC 6761: always loopback
        {"host": "localhost:8000", "origin": "http://localhost:8000", "sec-fetch-site": "same-origin"},
        {"host": "127.0.0.1:8000", "origin": "http://localhost:8000"},
        {"host": "localhost:8000", "sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"host": "localhost:8000", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},  # a link to /docs
    ],
)
def test_calls_of_this_machine_are_served(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/training-jobs", headers=headers).text == "served"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},  # DNS rebinding: its name means 127.0.0.1 now
        {"host": "evil.example:8000", "origin": "http://evil.example:8000", "sec-fetch-site": "same-origin"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "192.168.0.7:8000"},
        {"host": "0.0.0.0:8000"},
        {"host": "localhost:8000@evil.example"},
        {"host": "localhost/evil"},
        {"host": ""},
        {"host": "l" * 60_000},
        PAGE,
        {"host": "localhost:8000", "origin": "null"},  # a sandboxed frame
        {"host": "localhost:8000", "origin": "https://evil.example"},
        {"host": "localhost:8000", "origin": "http://localhost:3000"},
        {"host": "localhost:8000", "origin": "http://localhost"},
        {"host": "localhost:8000", "origin": "file://"},
        {"host": "localhost:8000", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},  # <img src>
    ],
)
@pytest.mark.parametrize("path", ["/training-jobs", "/nowhere", "/healthz"])
def test_calls_of_a_foreign_page_are_403(client: TestClient, headers: dict[str, str], path: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        response = client.request(method, path, headers=headers)
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"
        assert "FLAWSMITH_API_KEYS" in response.json()["detail"]
