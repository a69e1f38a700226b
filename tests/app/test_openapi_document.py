"""The OpenAPI document, over all routes: what generators of clients, validators and people need of each of them."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from flawsmith.core.domain.records import ModelVersion

KEYS = "G:generate,T:train,A:admin,M:metrics"
REACHES = {"generate": "GTA", "train": "TA", "admin": "A", "metrics": "MA"}
PUBLIC = {"/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
PLACES = {
    "dataset_id": "none",
    "job_id": "job-1",
    "name": "none",
    "version": "1",
    "seed": "5",
    "step": "1",
    "alias": "a",
}


class Operation(NamedTuple):
    path: str
    method: str
    described: dict[str, Any]

    @property
    def place(self) -> str:
        return re.sub(r"{(\w+)}", lambda name: PLACES.get(name[1], "none"), self.path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield Operation(path, method.upper(), described)


@pytest.fixture
def with_keys(make_api: Callable[..., TestClient]) -> TestClient:
    return make_api(api_keys=KEYS)


@pytest.fixture
def document(with_keys: TestClient) -> dict[str, Any]:
    """The document, as a caller without a key gets it."""
    found: dict[str, Any] = with_keys.get("/openapi.json").json()
    assert len(list(operations(found))) > 80
    return found


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)  # type: ignore[arg-type]
    assert document["openapi"].startswith("3.1")
    assert document["servers"][0]["url"] == "/"


def test_operations_have_short_names_of_their_own(document: dict[str, Any]) -> None:
    names = [each.described["operationId"] for each in operations(document)]
    assert len(set(names)) == len(names)
    assert {"create_dataset", "generate", "create_training_job", "get_image", "set_alias"} <= set(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+){0,4}", each) for each in names), names
    described = {each["name"]: each["description"] for each in document["tags"]}
    for operation in operations(document):
        assert described[operation.described["tags"][0]], str(operation)
        assert operation.described["description"].strip(), str(operation)


def test_each_call_needs_the_scope_that_the_document_names(with_keys: TestClient, document: dict[str, Any]) -> None:
    [scheme] = document["components"]["securitySchemes"]
    for operation in operations(document):
        if operation.path in PUBLIC:
            assert operation.described["security"] == [], str(operation)
            assert "401" not in operation.described["responses"], str(operation)
            continue
        [needed] = operation.described["security"]
        reached = "".join(REACHES[scope] for scope in needed[scheme]) or "GTAM"  # none: any key
        assert with_keys.request(operation.method, operation.place).status_code == 401, str(operation)
        for key in "GTAM":
            answer = with_keys.request(operation.method, operation.place, headers={"Authorization": f"Bearer {key}"})
            permitted = key in reached
            assert (answer.status_code == 403) == (not permitted), f"{operation} {key} {answer.text}"


def test_without_keys_no_call_needs_one(api: TestClient) -> None:
    for operation in operations(api.get("/openapi.json").json()):
        security = operation.described["security"]
        assert security == [] or {} in security, str(operation)


def test_every_change_takes_an_idempotency_key(api: TestClient) -> None:
    for operation in operations(api.get("/openapi.json").json()):
        headers = {each["name"] for each in operation.described.get("parameters", []) if each["in"] == "header"}
        assert ("Idempotency-Key" in headers) == (operation.method != "GET"), str(operation)
        is_upload = "multipart/form-data" in operation.described.get("requestBody", {}).get("content", {})
        if operation.method != "GET" and not is_upload and operation.path != "/generate":  # which read the body first
            answer = api.request(operation.method, operation.place, headers={"Idempotency-Key": "k" * 256})
            assert answer.status_code == 400, f"{operation}: {answer.text}"
            assert "Idempotency-Key" in answer.json()["detail"]


def test_every_answer_has_its_headers_and_every_error_is_the_problem(document: dict[str, Any]) -> None:
    headers = document["components"]["headers"]
    for operation in operations(document):
        responses = operation.described["responses"]
        for status, response in responses.items():
            where, names = f"{operation} {status}", response["headers"].keys()
            assert "X-Request-ID" in names, where
            assert all(headers[each["$ref"].rpartition("/")[2]]["schema"] for each in response["headers"].values())
            assert "Retry-After" in names or status not in ("429", "503"), where
            assert "WWW-Authenticate" in names or status != "401", where
            assert "ETag" in names or status not in ("200", "304") or "304" not in responses, where
            if status[0] in "45" and (operation.path, status) != ("/readyz", "503"):
                [content] = response["content"].values()
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, where
    generated = document["paths"]["/generate"]["post"]["responses"]["200"]["headers"]
    assert {"X-Model", "X-Seed", "X-Seeds", "X-Seeds-Omitted", "X-Stock", "X-Refused"} <= generated.keys()
    assert "Location" in document["paths"]["/datasets"]["post"]["responses"]["201"]["headers"]


def test_every_body_has_a_schema(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for status, response in operation.described["responses"].items():
            content = response.get("content", {})
            for media_type, described in content.items():
                schema = described["schema"]
                where = f"{operation} {status} {media_type}"
                if media_type.endswith("json"):
                    assert schema and schema.get("format") != "binary", where
                elif media_type.startswith("text/"):
                    assert schema == {"type": "string"}, where
                else:
                    assert schema == {"type": "string", "format": "binary"}, where
                    assert "application/octet-stream" in content, where
    content = document["paths"]["/generate"]["post"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/GeneratedImages"}
    assert next(iter(content)) == "image/png"


def test_schemas_have_plain_names_and_bodies_have_examples(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) for name in schemas)
    for operation in operations(document):
        body = operation.described.get("requestBody", {}).get("content", {}).get("application/json")
        if body:
            schema = schemas[body["schema"]["$ref"].rpartition("/")[2]]
            assert schema["examples"], str(operation)


def test_every_page_of_jobs_is_one_page_and_its_jobs_say_their_kind(document: dict[str, Any]) -> None:
    job = document["components"]["schemas"]["Job"]
    assert job["discriminator"]["mapping"]["training"] == "#/components/schemas/TrainingJob"
    for kind, reference in job["discriminator"]["mapping"].items():
        properties = document["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
        assert properties["kind"] == {"type": "string", "const": kind}


def test_the_path_of_every_route_is_in_the_document(api: TestClient) -> None:
    """A route that is left out by mistake has no scope, no problems and no name in clients."""
    app = api.app
    assert isinstance(app, FastAPI)
    known = {(each.path, each.method) for each in operations(app.openapi())}
    apart = {"/openapi.json", "/docs", "/docs/{name}", "/llms.txt", "/page/{digest}/{path:path}"}
    found = {(str(route.path), method) for route in iter_route_contexts(app.routes) for method in route.methods or ()}
    assert len(found) > 100
    assert {each for each in found if each[0] not in apart} <= known


def test_an_octet_stream_is_what_anybody_gets(api: TestClient, version: ModelVersion) -> None:
    path = "/models/steel/versions/1/weights.safetensors"
    plain, named = (api.get(path, headers={"Accept": each}) for each in ("*/*", "application/octet-stream"))
    assert named.headers["content-type"] == "application/octet-stream"
    assert named.content == plain.content
    answer = api.get("/models", headers={"Accept": "application/octet-stream"})
    assert answer.headers["content-type"] == "application/json"
    missing = api.get("/models/none", headers={"Accept": "application/octet-stream"})
    assert missing.headers["content-type"] == "application/problem+json"
