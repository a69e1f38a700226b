"""The log of calls, and the security headers of every answer, on the whole API without workers."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.conftest import SMALL_JOB, photograph, zipped

from flawsmith.app.main import instrumented
from flawsmith.core.domain.api_keys import new_key
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.api_keys import ApiKeys
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.audit_log import AuditLog
from flawsmith.core.store.datasets import Datasets

MakeApi = Callable[..., TestClient]


@pytest.fixture
def audited(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Gives the lines of the log of calls."""

    def lines() -> list[dict[str, Any]]:
        days = sorted((tmp_path / "artifacts" / "calls").glob("20??-??-??.jsonl"))
        return [json.loads(line) for day in days for line in day.read_text().splitlines()]

    return lines


Audited = Callable[[], list[dict[str, Any]]]


def outside(api: TestClient) -> TestClient:
    """A client that goes through the instrumentation too."""
    return TestClient(instrumented(api.app), base_url="http://localhost", raise_server_exceptions=False)  # type: ignore[arg-type]


def test_every_change_has_a_line_with_who_what_and_how_it_ended(
    make_api: MakeApi, tmp_path: Path, audited: Audited, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    key, record = new_key("line 3", "train")
    ApiKeys(ArtifactStore(tmp_path / "artifacts")).add(record)
    api = outside(make_api())
    api.headers["Authorization"] = f"Bearer {key}"
    archive = zipped({f"pits/{number}.png": photograph(number) for number in range(3)})
    dataset = api.post("/datasets", data={"name": "set"}, files={"archive": archive}).json()["id"]
    body = {"dataset": "set", "model": "steel", **SMALL_JOB}
    job = api.post("/training-jobs", json=body, headers={"X-Request-ID": "shift-7"}).json()["id"]
    api.post("/training-jobs", json={**body, "resolution": 5})
    api.delete(f"/datasets/{dataset}")
    api.post(f"/training-jobs/{job}/cancel")
    lines = audited()
    assert [(each["method"], each["route"], each["status"], each["outcome"]) for each in lines] == [
        ("POST", "/datasets", 201, "done"),
        ("POST", "/training-jobs", 202, "done"),
        ("POST", "/training-jobs", 422, "refused"),
        ("DELETE", "/datasets/{dataset_id}", 403, "refused"),
        ("POST", "/training-jobs/{job_id}/cancel", 202, "done"),
    ]
    assert {each["caller"] for each in lines} == {record.id}
    assert lines[1]["request_id"] == "shift-7"
    assert (lines[0]["made"], lines[1]["made"]) == (f"/datasets/{dataset}", f"/training-jobs/{job}")
    assert lines[3]["resource"] == f"/datasets/{dataset}"
    assert key not in json.dumps(lines)
    [line] = [each for each in caplog.messages if each.startswith(f"DELETE /datasets/{dataset} 403")]
    assert line.endswith(f" by {record.id}")
    assert key not in caplog.text


def test_what_changes_nothing_and_what_strangers_try_have_no_line(
    make_api: MakeApi, dataset: str, audited: Audited
) -> None:
    api = make_api(api_keys="sesame")
    before = audited()
    own = {"Authorization": "Bearer sesame"}
    api.get("/datasets", headers=own)
    body = {"dataset": "set", "model": "steel", **SMALL_JOB}
    assert api.post("/training-jobs?dry_run=true", json=body, headers=own).status_code == 200
    api.post("/generate", json={"model": "nothing"}, headers=own)
    api.post("/nowhere", headers=own)
    for _ in range(3):
        assert api.delete(f"/datasets/{dataset}").status_code == 401
    assert audited() == before


def test_a_log_that_cannot_be_written_does_not_undo_an_answer(
    api: TestClient, dataset: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: AuditLog, **fields: Any) -> None:
        raise OSError(28, "No space left on device", "/srv/secret/calls/x.jsonl")

    monkeypatch.setattr(AuditLog, "record_call", full)
    assert api.delete(f"/datasets/{dataset}").status_code == 204
    assert "cannot write the log of calls: No space left on device" in caplog.text
    assert "/srv/secret" not in caplog.text


def test_a_bug_in_the_service_has_a_line_too(
    api: TestClient, dataset: str, audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Datasets, "delete", None)
    assert outside(api).delete(f"/datasets/{dataset}").status_code == 500
    line = audited()[-1]
    assert (line["resource"], line["status"], line["outcome"]) == (f"/datasets/{dataset}", 500, "failed")


def test_every_answer_has_the_security_headers(make_api: MakeApi, version: ModelVersion, dataset: str) -> None:
    api = outside(make_api(api_keys="sesame"))
    own = {"Authorization": "Bearer sesame"}
    paths = ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/models", "/nowhere", "/llms.txt"]
    paths += [f"/datasets/{dataset}/preview.png", "/models/steel/versions/1/weights.safetensors", "/demo-set.zip"]
    answers = [api.get(path, headers=own) for path in paths]
    answers += [api.get("/models"), api.delete("/models", headers=own), api.head("/models", headers=own)]
    answers += [api.post("/generate", content="{", headers={**own, "Content-Type": "application/json"})]
    assert {each.status_code for each in answers} >= {200, 400, 401, 404, 405}
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
        assert answer.headers["x-frame-options"] == "DENY", answer.url
        assert answer.headers["referrer-policy"] == "no-referrer", answer.url
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy, answer.url
        assert len(answer.headers.get_list("content-security-policy")) == 1, answer.url
        assert "unsafe-eval" not in policy and "server" not in answer.headers
    assert "script-src 'self'" in answers[0].headers["content-security-policy"]
    assert "script-src" not in answers[6].headers["content-security-policy"]
