"""Notes and tags of jobs and versions, through HTTP."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.conftest import SMALL_JOB

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services

VERSION = "/models/steel/versions/1"


def path(kind: str, job: str) -> str:
    return VERSION if kind == "version" else f"/training-jobs/{job}"


@pytest.mark.parametrize("kind", ["job", "version"])
def test_notes_and_tags_are_changed_in_part(api: TestClient, version: ModelVersion, job: str, kind: str) -> None:
    place = path(kind, job)
    before = api.get(place).json()
    assert (before["note"], before["tags"], before["noted_at"]) == (None, [], None)
    first = api.patch(place, json={"note": "New lamp.\nLine 3", "tags": ["line-3", "Öl"]})
    assert first.status_code == 200, first.text
    assert first.json() == {**before, "note": "New lamp.\nLine 3", "tags": ["line-3", "Öl"]} | {
        "noted_at": first.json()["noted_at"]
    }
    second = api.patch(place, json={"add_tags": ["best"], "remove_tags": ["Öl"]}).json()
    assert (second["note"], second["tags"]) == ("New lamp.\nLine 3", ["line-3", "best"])
    assert second["noted_at"] > first.json()["noted_at"]
    assert api.get(place).json() == second
    cleared = api.patch(place, json={"note": None, "tags": []}).json()
    assert (cleared["note"], cleared["tags"]) == (None, [])


@pytest.mark.parametrize("kind", ["job", "version"])
def test_a_repeated_change_is_made_once(api: TestClient, version: ModelVersion, job: str, kind: str) -> None:
    place, key = path(kind, job), {"Idempotency-Key": f"note-{kind}"}
    first = api.patch(place, json={"note": "one"}, headers=key)
    api.patch(place, json={"note": "two"})
    assert api.patch(place, json={"note": "one"}, headers=key).json() == first.json()
    assert api.get(place).json()["note"] == "two"
    assert api.patch(place, json={"note": "three"}, headers=key).json()["type"] == "urn:flawsmith:key-reused"


@pytest.mark.parametrize(
    ("body", "pointer", "word"),
    [
        ({"tags": ["a,b"]}, "/tags/0", "no comma"),
        ({"tags": ["x" * 65]}, "/tags/0", "64"),
        ({"add_tags": [f"t{each}" for each in range(20)]}, "/add_tags", "there would be 21 tags, and 20 is the most"),
        ({"note": "x" * 4001}, "/note", "4000"),
        ({"note": ["x"]}, "/note", "string"),
        ({"name": "x"}, "/name", "note, tags, add_tags, remove_tags"),
        ({"tags": [], "add_tags": ["b"]}, "", "'tags' replaces all tags"),
        ({"note": "\ud800"}, "/note", ""),
    ],
)
@pytest.mark.parametrize("kind", ["job", "version"])
def test_what_is_no_remark_is_refused_and_changes_nothing(
    api: TestClient, version: ModelVersion, job: str, kind: str, body: dict[str, Any], pointer: str, word: str
) -> None:
    place = path(kind, job)
    before = api.patch(place, json={"note": "kept", "tags": ["kept"]}).json()
    answer = api.patch(place, content=_ascii_json(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert word in answer.json()["detail"]
    assert api.get(place).json() == before


def _ascii_json(body: Any) -> bytes:
    return json.dumps(body).encode()  # half of a surrogate pair stays an escape


def test_what_is_not_there_cannot_be_noted(api: TestClient, version: ModelVersion, job: str) -> None:
    for place in ("/training-jobs/job-none", f"/exports/{job}", "/models/steel/versions/2", "/models/zinc/versions/1"):
        assert api.patch(place, json={"note": "x"}).status_code == 404, place
    assert api.patch(VERSION, content=b"note").status_code == 415


def test_jobs_are_found_by_tag_and_by_words(api: TestClient, dataset: str) -> None:
    def submit(model: str, **body: Any) -> str:
        answer = api.post("/training-jobs", json={"dataset": dataset, "model": model, **SMALL_JOB, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    lamp = submit("steel", note="With the new LAMP", tags=["line-3", "lamp"])
    plain, zinc = submit("steel"), submit("zinc", tags=["line-3"])

    def found(**query: Any) -> list[str]:
        answer = api.get("/training-jobs", params=query)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    assert found() == [zinc, plain, lamp]
    assert found(tag="line-3") == [zinc, lamp]
    assert found(tag="line-3,lamp") == [lamp]
    assert found(tag="none") == []
    assert found(search="steel") == [plain, lamp]
    assert found(search="lamp NEW") == [lamp]
    assert found(search="zinc", tag="lamp") == []
    assert found(search=plain[-8:]) == [plain]
    assert found(tag="line-3", state="running") == []
    first = api.get("/training-jobs", params={"tag": "line-3", "limit": 1}).json()
    assert [each["id"] for each in first["items"]] == [zinc]
    assert found(tag="line-3", limit=1, cursor=first["next_cursor"]) == [lamp]
    record = api.get(f"/training-jobs/{lamp}").json()
    assert "tags" not in record["config"], "a version's card would have them for ever"
    assert api.get("/training-jobs", params={"search": "x" * 201}).status_code == 422


def test_a_submission_with_wrong_tags_is_refused(api: TestClient, dataset: str) -> None:
    answer = api.post("/training-jobs", json={"dataset": dataset, "model": "steel", "tags": ["a,b"], **SMALL_JOB})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/tags/0")
    assert api.get("/training-jobs").json()["items"] == []


def test_models_and_versions_are_found_by_tag_and_by_words(
    api: TestClient, services: Services, version: ModelVersion
) -> None:
    card = version.model_dump(exclude={"model", "version", "created_at"})
    for model, job in (("steel", "job-2"), ("zinc", "job-3")):
        with services.store.staged() as staged:
            (staged / "generator.safetensors").write_bytes(b"weights")
            services.registry.publish(model, staged, **{**card, "training_job": job})
    api.patch("/models/steel/versions/2", json={"note": "For the trade fair", "tags": ["line-3", "best"]})
    api.patch("/models/zinc/versions/1", json={"tags": ["line-3"]})
    api.put("/models/steel/aliases/fair", json={"version": 1})

    def models(**query: str) -> list[tuple[str, list[str]]]:
        return [(each["name"], each["tags"]) for each in api.get("/models", params=query).json()["items"]]

    def versions(**query: str) -> list[int]:
        return [each["version"] for each in api.get("/models/steel/versions", params=query).json()["items"]]

    assert models() == [("zinc", ["line-3"]), ("steel", ["best", "line-3"])]
    assert models(tag="line-3") == models()
    assert models(tag="best,line-3") == models(search="trade FAIR") == [("steel", ["best", "line-3"])]
    assert models(tag="gone") == models(search="copper") == []
    assert versions() == [2, 1]
    assert versions(tag="best") == versions(search="trade") == [2]
    assert versions(search="fair") == [2, 1], "the alias is a name of the version"
    assert api.get("/models/steel").json()["tags"] == ["best", "line-3"]
    listed = api.get("/models/steel/versions").json()["items"]
    assert listed == [api.get(f"/models/steel/versions/{number}").json() for number in (2, 1)]
    page = api.get("/models/steel/versions", params={"limit": 1}).json()
    assert [each["version"] for each in page["items"]] == [2]
    rest = api.get("/models/steel/versions", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert ([each["version"] for each in rest["items"]], rest["next_cursor"]) == ([1], None)
    assert api.get("/models/copper/versions").status_code == 404


def test_remarks_go_with_what_they_are_of(api: TestClient, services: Services, version: ModelVersion, job: str) -> None:
    api.patch(VERSION, json={"tags": ["gone"]})
    etag = api.get(f"{VERSION}/weights.safetensors").headers["etag"]
    api.patch(VERSION, json={"note": "more"})
    assert api.get(f"{VERSION}/weights.safetensors").headers["etag"] == etag, "a version never changes"
    api.patch(f"/training-jobs/{job}", json={"tags": ["gone"]})
    api.post(f"/training-jobs/{job}/cancel")
    assert api.get(f"/training-jobs/{job}").json()["tags"] == ["gone"]
    assert api.delete(f"/training-jobs/{job}").status_code == 204
    assert api.delete(VERSION).status_code == 204
    assert api.get("/models", params={"tag": "gone"}).json()["items"] == []
    assert api.get("/training-jobs", params={"tag": "gone"}).json()["items"] == []
    assert not list(services.store.path("models", "steel", "results").glob("*"))
