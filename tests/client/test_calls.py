"""The client knows what the service has, its manual knows what the client has, and keys stay at home."""

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from tests.client.both import Run, both
from tests.client.stand_in import Reply, answering

from flawsmith import AsyncClient, Client
from flawsmith.app.image_request import GenerateRequest
from flawsmith.cli import client_commands, job_commands, version_job_commands, webhook_commands
from flawsmith.cli.connection import connect
from flawsmith.client import errors
from flawsmith.client.clients import AllCalls
from flawsmith.client.jobs import PATHS, TrainingOptions, job_path
from flawsmith.client.webhooks import EventName, MessageState
from flawsmith.core.domain.composition_request import CompositionRequest
from flawsmith.core.domain.evaluation_request import EvaluationRequest
from flawsmith.core.domain.export_request import ExportRequest
from flawsmith.core.domain.label_request import LabelRequest
from flawsmith.core.domain.training_request import TrainingRequest
from flawsmith.core.domain.webhook_targets import EventType, WebhookRequest
from flawsmith.core.domain.webhooks import DeliveryState
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


@pytest.mark.parametrize(
    ("call", "body", "of_the_path"),
    [
        (Client.train, TrainingRequest, set()),
        (Client.generate, GenerateRequest, {"format"}),  # the client asks for JSON
        (Client.export, ExportRequest, set()),
        (Client.compose, CompositionRequest, set()),
        (Client.evaluate, EvaluationRequest, set()),
        (Client.label, LabelRequest, set()),
        (Client.add_webhook, WebhookRequest, set()),
    ],
)
def test_a_call_takes_every_key_of_its_body(call: Any, body: type[BaseModel], of_the_path: set[str]) -> None:
    taken = set(inspect.signature(call).parameters)
    if "options" in taken:
        taken |= set(TrainingOptions.__annotations__)
    assert set(body.model_fields) - of_the_path <= taken


def test_the_events_of_webhooks_are_those_of_the_service() -> None:
    assert set(get_args(EventName)) == set(EventType)
    assert set(get_args(MessageState)) == set(DeliveryState)


def test_the_manual_has_every_command() -> None:
    section = MANUAL.partition("## Commands")[2]
    named = set(re.findall(r"`(?:flawsmith )?([a-z-]+(?: [a-z]+)?)", section))
    for commands in (client_commands, job_commands, version_job_commands):
        for each in commands.app.registered_commands:
            assert (each.name or getattr(each.callback, "__name__", "")) in named
    for each in webhook_commands.app.registered_commands:
        assert f"webhooks {each.name or getattr(each.callback, '__name__', '')}" in named


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
