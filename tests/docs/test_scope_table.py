"""Every route against every scope: what docs/scopes.md says is what the service does."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from flawsmith.app.main import create_app
from flawsmith.app.scope_table import SCOPES, routes, with_scope_table
from flawsmith.core.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "scopes.md"
KEYS = {"no key": "", **{scope: f"key-of-{scope}" for scope in SCOPES}}
PLACES = {"version": "1", "seed": "5", "step": "1", "digest": "none"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    keys = ",".join(f"{KEYS[scope]}:{scope}" for scope in SCOPES)
    return create_app(Settings(data_dir=tmp_path_factory.mktemp("scopes"), api_keys=keys))


@pytest.fixture(scope="module")
def listed() -> dict[tuple[str, str], dict[str, bool]]:
    """By method and path: which callers the page lets in."""
    rows = re.findall(r"^\| `([A-Z]+) (\S+)` \| (.+) \|$", PAGE.read_text(), re.M)
    return {
        (method, path): dict(zip(KEYS, (cell == "yes" for cell in cells.split(" | ")), strict=True))
        for method, path, cells in rows
    }


def test_the_page_has_every_route_and_is_up_to_date(
    app: FastAPI, listed: dict[tuple[str, str], dict[str, bool]]
) -> None:
    text = PAGE.read_text()
    assert text == with_scope_table(text, app), "out of date; run: python docs/write_scope_table.py"
    assert set(listed) == set(routes(app)) and len(listed) > 100
    assert ("POST", "/generate") in listed and ("GET", "/page/{digest}/{path:path}") in listed


def test_every_call_is_let_in_and_kept_out_as_the_page_says(
    app: FastAPI, listed: dict[tuple[str, str], dict[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []

    class StandIn:
        """Behind all middleware, in place of the routes."""

        routes = app.router.routes

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            reached.append(scope["path"])
            await PlainTextResponse("")(scope, receive, send)

    monkeypatch.setattr(app, "router", StandIn())
    monkeypatch.setattr(app, "middleware_stack", None)  # it is made again, with this router
    client = TestClient(app, base_url="http://localhost")
    for (method, path), permitted in listed.items():
        place = re.sub(r"{(\w+)(:path)?}", lambda name: PLACES.get(name[1], "none"), path)
        for caller, key in KEYS.items():
            reached.clear()
            answer = client.request(method, place, headers={"Authorization": f"Bearer {key}"} if key else {})
            expected = 200 if permitted[caller] else 401 if caller == "no key" else 403
            where = f"{method} {path} {caller}"
            assert (answer.status_code, bool(reached)) == (expected, expected == 200), where


def test_a_route_that_nobody_listed_needs_a_key(app: FastAPI) -> None:
    client = TestClient(app, base_url="http://localhost")
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert client.request(method, "/a-route-of-a-later-release").status_code == 401
