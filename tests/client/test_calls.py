"""The client knows what the service has, its manual knows what the client has, and keys stay at home."""

import inspect
import re
from pathlib import Path

import pytest
from tests.client.both import Run, both
from tests.client.stand_in import Reply, answering

from flawsmith import AsyncClient, Client
from flawsmith.cli.connection import connect
from flawsmith.client import errors
from flawsmith.client.clients import AllCalls
from flawsmith.client.jobs import PATHS, job_path
from flawsmith.core.job_kinds import job_kinds

MANUAL = (Path(__file__).parents[2] / "docs" / "client.md").read_text()


def test_the_client_knows_every_kind_of_job() -> None:
    assert {kind.name: kind.path for kind in job_kinds()} == PATHS
    for kind in job_kinds():
        assert job_path(kind.job_id("066")) == f"{kind.path}/{kind.id_prefix}-066"


def calls() -> list[str]:
    return [name for name, _ in inspect.getmembers(AllCalls, callable) if not name.startswith("_")]


def test_the_manual_has_every_call() -> None:
    named = set(re.findall(r"`(\w+)\(", MANUAL))
    assert len(calls()) > 30
    assert set(calls()) - named == set()


def test_every_call_is_explained_and_in_both_clients() -> None:
    for name in calls():
        assert inspect.getdoc(getattr(Client, name)), name
        assert inspect.signature(getattr(Client, name)) == inspect.signature(getattr(AsyncClient, name))


def test_the_errors_of_the_manual_exist() -> None:
    section = MANUAL.partition("## Errors")[2].partition("\n## ")[0]
    named = re.findall(r"`((?:[A-Z][a-z]+){2,})`", section)
    assert {"NoAnswer", "NotForProduction"} <= set(named)
    for name in named:
        assert issubclass(getattr(errors, name), errors.FlawsmithError)


@pytest.mark.parametrize(
    ("url", "variables", "sent"),
    [
        ("http://127.0.0.1:8000", {"FLAWSMITH_API_KEYS": "own:admin,other:train"}, "Bearer own"),
        ("https://elsewhere.example", {"FLAWSMITH_API_KEYS": "own:admin"}, None),
        ("https://127.0.0.1.elsewhere.example", {"FLAWSMITH_API_KEYS": "own:admin"}, None),
        ("https://elsewhere.example", {"FLAWSMITH_API_KEY": "mine"}, "Bearer mine"),
        ("http://localhost:8000", {"FLAWSMITH_API_KEY": "mine", "FLAWSMITH_API_KEYS": "own"}, "Bearer mine"),
        ("http://localhost:8000", {}, None),
    ],
)
def test_a_service_s_own_keys_leave_the_machine_for_no_other(
    url: str, variables: dict[str, str], sent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flawsmith.core.settings import get_settings

    for name in ("FLAWSMITH_API_KEY", "FLAWSMITH_API_KEYS", "FLAWSMITH_API_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    try:
        assert connect(url)._http.headers.get("Authorization") == sent
    finally:
        get_settings.cache_clear()


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"FLAWSMITH_PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"FLAWSMITH_PORT": "9000", "FLAWSMITH_URL": "https://steel.example/prefix/"}, "https://steel.example/prefix"),
    ],
)
def test_the_service_that_is_called_by_default(
    variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLAWSMITH_PORT", "FLAWSMITH_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Client().url == AsyncClient().url == url
    assert Client("http://given:1").url == "http://given:1"


@both
def test_a_service_below_a_prefix(run: Run) -> None:
    body = b'{"name": "steel", "versions": [], "aliases": {}, "created_at": "2026-01-01T00:00:00Z"}'
    with answering(lambda *_: Reply(200, body)) as service:
        run(f"{service.url}/prefix/", "model", "steel")
        run(f"{service.url}/prefix", "model", "a/b")
    assert [call.path for call in service.calls] == ["/prefix/models/steel", "/prefix/models/a%2Fb"]
