"""A route that parses its body with pydantic refuses what FastAPI refuses, in the same words."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.testclient import TestClient

from flawsmith.app import problems
from flawsmith.app.direct_body_route import DirectBodyRoute
from flawsmith.app.query_parameters import refuse_unknown_parameters


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=20)
    count: int = Field(1, ge=1, le=9)


@pytest.fixture(scope="module")
def client() -> TestClient:
    """A client of an application with the same endpoint at /direct and, by FastAPI's own route, at /plain."""

    async def endpoint(
        request: Request, body: Body, data: Annotated[bool, Query(description="with data")] = True
    ) -> Response:
        return Response(f"{body.name} {body.count} {data} {request.method}")

    app = FastAPI(dependencies=[Depends(refuse_unknown_parameters)])
    problems.install(app)
    direct = APIRouter(route_class=DirectBodyRoute)
    direct.post("/direct")(endpoint)
    app.router.routes[:0] = direct.routes  # as the service has it
    app.post("/plain")(endpoint)
    return TestClient(app)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "query"),
    [
        (b'{"name": "a"}', JSON, ""),
        (b'{"name": "a", "count": 3}', JSON, "?data=false"),
        (b'{"name": "a"}', {"Content-Type": "application/json; charset=utf-8"}, "?data=0"),
        (b'{"name": "a"}', JSON, "?data=0&other=1"),
        (b'{"name": ""}', JSON, "?dta=0"),
        (b'\xef\xbb\xbf{"name": "a"}', JSON, ""),
        ('{"name": "ä"}'.encode("utf-16"), JSON, "?data=0"),
        ('{"name": ""}'.encode("utf-16"), JSON, ""),
        ('{"name": "a", "count": "3"}'.encode("utf-16"), JSON, ""),
        (b'{"name": "\\ud800"}', JSON, ""),
        (b'{"name": NaN}', JSON, ""),
        (b"[" * 10_000, JSON, ""),
        (b'{"name": "\xe4"}', JSON, ""),
        (b'{"name": "a"}', {"Content-Type": "application/vnd.flawsmith+json"}, "?data=yes"),
        (b'{"name": "a"}', {}, ""),
        (b'{"name": ""}', JSON, ""),
        (b'{"name": "a", "count": 10}', JSON, ""),
        (b'{"name": "a", "count": "3"}', JSON, ""),
        (b'{"count": 3}', JSON, ""),
        (b'{"name": "a", "cuont": 3}', JSON, ""),
        (b'{"name": "a"}', JSON, "?data=perhaps"),
        (b"", JSON, ""),
        (b"{", JSON, ""),
        (b"name=a", {"Content-Type": "application/x-www-form-urlencoded"}, ""),
        (b'{"name": "a"}', {"Content-Type": "text/plain"}, ""),
    ],
)
def test_it_answers_as_fastapi_does(client: TestClient, content: bytes, headers: dict[str, str], query: str) -> None:
    direct, plain = (client.post(f"/{path}{query}", content=content, headers=headers) for path in ("direct", "plain"))
    assert direct.status_code == plain.status_code
    if direct.status_code == 200:
        assert direct.text == plain.text
    else:
        assert {**direct.json(), "instance": ""} == {**plain.json(), "instance": ""}


def test_a_body_without_a_content_type_is_415(client: TestClient) -> None:
    """A web page may send one to another origin without being asked back (CORS): `fetch` of a Blob without a type."""
    for path in ("/direct", "/plain"):
        assert client.post(path, content=b'{"name": "a"}').status_code == 415


@pytest.mark.parametrize("extra", [{}, {"name": "", "count": 10}])
def test_of_many_unknown_keys_the_first_100_are_listed(client: TestClient, extra: dict[str, Any]) -> None:
    body = {f"k{i}": i for i in range(60_000)} | extra
    answers = [client.post(path, json=body) for path in ("/direct", "/plain")]
    for answer in answers:
        assert answer.status_code == 422
        assert len(answer.json()["errors"]) == 100
        assert len(answer.content) < 20_000
    pointers = [each["pointer"] for each in answers[0].json()["errors"]]
    assert {f"/k{i}" for i in range(90)} < set(pointers)


def test_its_openapi_entry_is_fastapis(client: TestClient) -> None:
    def entry(path: str) -> dict[str, Any]:
        operation: dict[str, Any] = client.get("/openapi.json").json()["paths"][path]["post"]
        return {name: value for name, value in operation.items() if name not in ("operationId", "summary")}

    assert entry("/direct") == entry("/plain")
    assert entry("/direct")["requestBody"]
    assert [each["name"] for each in entry("/direct")["parameters"]] == ["data"]
