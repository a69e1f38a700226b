"""Calls of web pages of other origins: those that the setting lists may call, with keys and without."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from flawsmith.core.settings import Settings

APP = "https://app.example.com"
DEVELOPED = "http://localhost:5173"


def preflight(client: TestClient, origin: str, method: str = "POST", headers: str = "authorization") -> object:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options("/generate", headers={"Origin": origin, **asked})


@pytest.fixture
def listed(make_api: Callable[..., TestClient]) -> TestClient:
    return make_api(api_keys="K:admin", cors_origins=f"{APP}, {DEVELOPED}")


@pytest.mark.parametrize("headers", ["authorization,content-type,idempotency-key", "x-request-id", "if-none-match"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("origin", [APP, DEVELOPED])
def test_a_listed_page_may_ask_without_a_key(listed: TestClient, origin: str, method: str, headers: str) -> None:
    answer = preflight(listed, origin, method, headers)
    assert answer.status_code == 200  # type: ignore[attr-defined]
    assert answer.headers["access-control-allow-origin"] == origin  # type: ignore[attr-defined]


def test_answers_and_errors_can_be_read_by_a_listed_page(listed: TestClient) -> None:
    for key, status in (({"Authorization": "Bearer K"}, 200), ({}, 401)):
        answer = listed.get("/models", headers={"Origin": APP, **key})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == APP
        assert "access-control-allow-credentials" not in answer.headers
        exposed = answer.headers["access-control-expose-headers"].lower()
        assert all(name in exposed for name in ("x-seed", "retry-after", "etag", "location", "x-request-id"))


def test_other_pages_may_not(listed: TestClient) -> None:
    refused = listed.options(
        "/generate", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    assert "access-control-allow-origin" not in refused.headers
    assert "FLAWSMITH_CORS_ORIGINS" in refused.json()["detail"]
    answer = listed.get("/models", headers={"Origin": "https://evil.example", "Authorization": "Bearer K"})
    assert "access-control-allow-origin" not in answer.headers


def test_caches_keep_the_answers_for_pages_apart(listed: TestClient) -> None:
    for origin in ({}, {"Origin": APP}, {"Origin": "https://evil.example"}):
        answer = listed.get("/models", headers={"Authorization": "Bearer K", **origin})
        assert "Origin" in answer.headers["vary"]


def test_without_keys_a_listed_page_may_call_and_no_other(make_api: Callable[..., TestClient]) -> None:
    client = make_api(cors_origins=DEVELOPED)
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert client.get("/models", headers={"Origin": DEVELOPED, **cross}).status_code == 200
    assert client.get("/models", headers={"Origin": "http://localhost:5174", **cross}).status_code == 403
    assert client.get("/models", headers={"Origin": DEVELOPED, "Host": "rebound.example"}).status_code == 403
    assert client.get("/models", headers=cross).status_code == 403


def test_without_the_setting_nothing_is_said_of_origins(api: TestClient) -> None:
    answer = api.get("/models", headers={"Origin": "http://localhost"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_all_origins_need_keys(make_api: Callable[..., TestClient]) -> None:
    with pytest.raises(ValidationError, match="FLAWSMITH_API_KEYS"):
        Settings(cors_origins="*")
    answer = make_api(api_keys="K", cors_origins="*").get("/models", headers={"Origin": APP})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")


@pytest.mark.parametrize(
    "wrong", ["example.com", "https://example.com/", "https://Example.com", "ftp://a.b", "null", "https://a.b:x"]
)
def test_a_setting_that_is_no_origin_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="entry 2 is no origin"):
        Settings(cors_origins=f"{APP}, {wrong}")
