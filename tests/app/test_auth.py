"""API keys and scopes, on an application that answers every call."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from flawsmith.app.auth import AccessControl, Authentication
from flawsmith.app.keyring import Keyring
from flawsmith.core.setting_values import Scope, parse_api_keys

SCOPES: tuple[Scope, ...] = ("generate", "train", "admin", "metrics")
CALLS = {
    ("GET", "/models"): "generate",
    ("GET", "/models/steel/versions/1/images/5.png"): "generate",
    ("POST", "/generate"): "generate",
    ("GET", "/openapi.json"): "generate",
    ("GET", "/nowhere"): "generate",
    ("GET", "/models/steel/versions/1/report"): "train",
    ("GET", "/models/steel/versions/1/report.html"): "train",
    ("POST", "/models/steel/versions/1/report"): "train",
    ("GET", "/models/steel/versions/1/bundle"): "train",
    ("POST", "/models/import"): "admin",
    ("GET", "/reports/report-1"): "train",
    ("GET", "/datasets"): "train",
    ("GET", "/%64atasets"): "train",
    ("GET", "/datasets/"): "train",
    ("POST", "/datasets"): "train",
    ("POST", "/training-jobs"): "train",
    ("POST", "/training-jobs/x/cancel"): "train",
    ("GET", "/training-jobs/x/events"): "train",
    ("GET", "/models/evaluations"): "generate",
    ("GET", "/models/steel/versions/1/evaluations"): "train",
    ("POST", "/models/steel/versions/1/evaluations"): "train",
    ("GET", "/evaluations/x"): "train",
    ("GET", "/models/steel/versions/1/compare"): "train",
    ("GET", "/comparisons/x"): "train",
    ("POST", "/exports"): "train",
    ("POST", "/models/steel/versions/1/labels"): "train",
    ("POST", "/webhooks"): "admin",
    ("GET", "/webhooks"): "train",
    ("DELETE", "/webhooks/webhook-1"): "admin",
    ("GET", "/webhook-messages"): "train",
    ("POST", "/webhook-messages/msg_1/resend"): "train",
    ("GET", "/labellings/x"): "train",
    ("PATCH", "/labellings/x"): "train",
    ("PATCH", "/models/steel/versions/1"): "train",
    ("GET", "/models/steel/versions"): "generate",
    ("GET", "/models/steel/versions/1/images/5/mask.png"): "generate",
    ("POST", "/compositions"): "train",
    ("GET", "/compositions/x/archive"): "train",
    ("GET", "/exports/x/archive"): "train",
    ("DELETE", "/exports/x"): "admin",
    ("GET", "/drift-checks"): "train",
    ("DELETE", "/datasets/x"): "admin",
    ("DELETE", "/models/steel/versions/1"): "admin",
    ("PUT", "/models/steel/aliases/production"): "admin",
    ("GET", "/models/steel/versions/1/quality-floor"): "generate",
    ("PUT", "/models/steel/versions/1/quality-floor"): "admin",
    ("DELETE", "/models/steel/versions/1/quality-floor"): "admin",
    ("DELETE", "/models/steel/aliases/production"): "admin",
    ("DELETE", "/models/steel/versions/1/images/5.png"): "admin",
    ("GET", "/datasets/x/versions"): "train",
    ("GET", "/metrics"): "metrics",
    ("GET", "/metrics/targets"): "metrics",
}
PERMITTED = {
    "generate": {"generate"},
    "train": {"generate", "train"},
    "admin": {"generate", "train", "admin", "metrics"},
    "metrics": {"metrics"},
}


def client(keys: str) -> TestClient:
    """A client of an application that answers with the caller's name."""

    async def answer(request: Request) -> Response:
        return PlainTextResponse(request.scope.get("flawsmith_caller", ""))

    route = Route("/{path:path}", answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    middleware = [Middleware(AccessControl, keyring=Keyring(parse_api_keys(keys)), public_documents=False, origins=())]
    return TestClient(Starlette(routes=[route], middleware=middleware), base_url="http://localhost")


@pytest.fixture(scope="module")
def with_keys() -> TestClient:
    """The keys are the names of their scopes, in capitals."""
    return client(",".join(f"{scope.upper()}:{scope}" for scope in SCOPES))


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_permits_what_its_scope_reaches(with_keys: TestClient, scope: Scope, call: tuple[str, str]) -> None:
    response = with_keys.request(*call, headers={"Authorization": f"Bearer {scope.upper()}"})
    if CALLS[call] in PERMITTED[scope]:
        assert response.status_code == 200
    else:
        assert response.status_code == 403
        problem = response.json()
        assert problem["type"] == "urn:flawsmith:out-of-scope"
        assert problem["detail"] == f"this call needs a key of scope '{CALLS[call]}'; yours is '{scope}'"


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
@pytest.mark.parametrize(
    "header", [None, "", "ADMIN", "Bearer", "Bearer ", "Bearer admin", "Bearer ADMIN2", "Basic ADMIN", "Bearer ÄDMIN"]
)
def test_a_call_without_a_known_key_is_401(with_keys: TestClient, header: str | None, call: tuple[str, str]) -> None:
    response = with_keys.request(*call, headers={} if header is None else {"Authorization": header.encode("latin-1")})
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["type"] == "urn:flawsmith:no-key"
    assert "Authorization: Bearer KEY" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_liveness_and_readiness_need_no_key(with_keys: TestClient, path: str) -> None:
    assert with_keys.get(path).status_code == 200


def test_the_scheme_is_case_insensitive(with_keys: TestClient) -> None:
    assert with_keys.get("/models", headers={"Authorization": "bearer  GENERATE "}).status_code == 200


def test_without_keys_every_call_passes() -> None:
    assert all(client("").request(*call).status_code == 200 for call in CALLS)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, "private"),
        ("public, max-age=31536000, immutable", "private, max-age=31536000, immutable"),
        ("no-store", "private, no-store"),
        ("private", "private"),
    ],
)
def test_what_needed_a_key_is_private(given: str | None, sent: str) -> None:
    async def answer(request: Request) -> Response:
        return PlainTextResponse("", headers={"Cache-Control": given} if given else {})

    middleware = [Middleware(Authentication, keyring=Keyring(parse_api_keys("A")))]
    app = TestClient(Starlette(routes=[Route("/{path:path}", answer)], middleware=middleware))
    response = app.get("/models/steel/versions/1/images/5.png", headers={"Authorization": "Bearer A"})
    assert response.headers["cache-control"] == sent
    assert app.get("/healthz").headers.get("cache-control") == given


def test_callers_have_names_that_do_not_contain_their_keys(with_keys: TestClient) -> None:
    names = {with_keys.get("/models", headers={"Authorization": f"Bearer {key}"}).text for key in ("TRAIN", "ADMIN")}
    assert len(names) == 2
    assert all(len(name) == 16 and "TRAIN" not in name and "ADMIN" not in name for name in names)
