"""Every exception as problem+json: its status, its type, and nothing of the server's insides."""

import errno
import json
import re
from typing import Any

import pytest
from fastapi import FastAPI, Response
from kombu.exceptions import OperationalError
from pydantic import BaseModel, ConfigDict, Field
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped
from tests.published_versions import publish

from flawsmith.app import problems
from flawsmith.app.body_limit import BodyLimit
from flawsmith.app.problems import Problem, invalid, unavailable
from flawsmith.core.domain.job_states import JobEnded
from flawsmith.core.domain.jobs import Job, JobState
from flawsmith.core.domain.records import RejectedFile
from flawsmith.core.domain.training_config import CannotTrain
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.services import Services
from flawsmith.core.store.archives import ArchiveTooLarge, BrokenArchive, NotAnArchive
from flawsmith.core.store.datasets import TooFewImages, UnknownDataset
from flawsmith.core.store.registry import UnknownModel, VersionInUse

SECRET = "/srv/flawsmith/artifacts/secret"
JOB = Job.model_construct(kind="training", id="x", state=JobState.SUCCEEDED)
ERRORS: list[tuple[Exception, int, str]] = [
    (Problem(418, "teapot", "short and stout"), 418, "teapot"),
    (invalid("/count", "too many"), 422, "invalid"),
    (unavailable("no worker"), 503, "unavailable"),
    (HTTPException(404), 404, "not-found"),
    (HTTPException(405, headers={"Allow": "GET"}), 405, "method-not-allowed"),
    (HTTPException(400), 400, "malformed-body"),
    (UnknownDataset("there is no dataset 'x'"), 404, "not-found"),
    (UnknownJob("there is no training job 'x'"), 404, "not-found"),
    (UnknownModel("there is no model 'x'"), 404, "not-found"),
    (VersionInUse("the alias 'production' points at it"), 409, "conflict"),
    (JobEnded(JOB), 409, "conflict"),
    (CannotTrain("/resolution", "32, 64 or 128"), 422, "invalid"),
    (NotAnArchive("neither zip, tar nor tar.gz"), 415, "not-an-archive"),
    (BrokenArchive("the zip is cut short"), 422, "invalid"),
    (ArchiveTooLarge("more than 1000 entries"), 413, "too-large"),
    (TooFewImages(1, [RejectedFile(file="a.txt", reason="not an image")]), 422, "no-usable-images"),
    (RedisConnectionError(f"Error 2 connecting to unix://{SECRET}"), 503, "unavailable"),
    (OperationalError(f"Error 2 connecting to unix://{SECRET}"), 503, "unavailable"),
    (OSError(errno.ENOSPC, "No space left on device", SECRET), 503, "unavailable"),
    (OSError(errno.EIO, "Input/output error", SECRET), 503, "unavailable"),
    (PermissionError(errno.EACCES, "Permission denied", SECRET), 503, "unavailable"),
    (TimeoutError(), 503, "unavailable"),
    (TimeoutError(errno.ETIMEDOUT, "Connection timed out", SECRET), 503, "unavailable"),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 503, "unavailable"),
    (RedisTimeoutError(f"Timeout reading from unix://{SECRET}"), 503, "unavailable"),
    (RuntimeError(f"cannot read {SECRET}"), 500, "internal"),
    (KeyError(SECRET), 500, "internal"),
]


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rate: float = 0.5


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = Field(1, ge=1)
    overrides: Inner = Inner()


@pytest.fixture(scope="module")
def client() -> TestClient:
    """A client of an application that raises the error of a number, and has one route with a JSON body."""
    app = FastAPI()
    app.add_middleware(BodyLimit, unlimited=re.compile("/uploads"), larger={})
    problems.install(app)

    @app.get("/errors/{number}")
    async def fail(number: int) -> None:
        raise ERRORS[number][0]

    @app.get("/gone")
    async def gone() -> None:
        raise ClientDisconnect

    @app.post("/things")
    async def create(body: Body, data: bool = True) -> Response:
        return Response(status_code=204)

    @app.post("/uploads")
    async def upload(body: dict[str, Any]) -> Response:
        return Response(status_code=204)

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    "number", range(len(ERRORS)), ids=lambda number: f"{type(ERRORS[number][0]).__name__}-{number}"
)
def test_an_exception_is_a_problem_that_shows_no_path_and_no_stack_trace(client: TestClient, number: int) -> None:
    _, status, kind = ERRORS[number]
    response = client.get(f"/errors/{number}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "instance"}
    assert (problem["type"], problem["status"]) == (f"urn:flawsmith:{kind}", status)
    assert problem["instance"] == f"/errors/{number}"
    assert problem["detail"]
    assert SECRET not in response.text
    assert "Traceback" not in response.text
    assert '.py"' not in response.text


def test_headers_and_further_members_reach_the_caller(client: TestClient) -> None:
    answers = {type(error).__name__: client.get(f"/errors/{number}") for number, (error, *_) in enumerate(ERRORS)}
    assert answers["RuntimeError"].headers.get("retry-after") is None
    assert int(answers["ConnectionError"].headers["retry-after"]) > 0
    assert answers["CannotTrain"].json()["errors"] == [{"pointer": "/resolution", "detail": "32, 64 or 128"}]
    assert answers["TooFewImages"].json()["rejected"] == [{"file": "a.txt", "reason": "not an image"}]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError, "took too long"),
        (RedisTimeoutError, "Redis did not answer in time"),
        (ConnectionResetError, "connection"),
        (PermissionError, "artifact store"),
    ],
)
def test_the_detail_names_what_failed(client: TestClient, error: type[Exception], words: str) -> None:
    [number, *_] = [number for number, (each, *_) in enumerate(ERRORS) if type(each) is error]
    assert words in client.get(f"/errors/{number}").json()["detail"]


def test_a_time_limit_of_the_disk_is_a_failure_of_the_artifact_store(client: TestClient) -> None:
    number = next(i for i, (each, *_) in enumerate(ERRORS) if getattr(each, "errno", None) == errno.ETIMEDOUT)
    assert "artifact store" in client.get(f"/errors/{number}").json()["detail"]


def test_a_client_that_disconnected_gets_no_problem(client: TestClient) -> None:
    assert (client.get("/gone").status_code, client.get("/gone").content) == (499, b"")


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"cuont": 1}, "/cuont", "unknown key; the known keys are count, overrides"),
        ({"count": 0}, "/count", "greater than or equal to 1"),
        ({"overrides": {"rate": "fast"}}, "/overrides/rate", "number"),
        ({"overrides": {"a/b~c": 1}}, "/overrides/a~1b~0c", "unknown key"),
        (None, "", "required"),
        ([], "", "must be a JSON object"),
    ],
)
def test_an_invalid_body_has_a_json_pointer_and_words_for_each_error(
    client: TestClient, body: Any, pointer: str, words: str
) -> None:
    response = client.post("/things", json=body)
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_an_invalid_query_parameter_has_a_pointer_into_the_query(client: TestClient) -> None:
    response = client.post("/things?data=perhaps", json={})
    assert response.status_code == 422
    assert [each["pointer"] for each in response.json()["errors"]] == ["/query/data"]


def test_a_body_that_is_not_json_is_400_and_another_media_type_is_415(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    assert client.post("/things", content=b"{", headers=headers).json()["type"] == "urn:flawsmith:malformed-body"
    response = client.post("/things", content=b"count=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (response.status_code, response.json()["type"]) == (415, "urn:flawsmith:unsupported-media-type")


def test_an_unknown_path_and_a_wrong_method_are_problems(client: TestClient) -> None:
    assert client.get("/nowhere").json()["type"] == "urn:flawsmith:not-found"
    response = client.put("/things")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["type"] == "urn:flawsmith:method-not-allowed"


def test_a_json_body_over_a_megabyte_is_413_and_an_upload_may_be_larger(client: TestClient) -> None:
    large = {"text": "x" * 1_100_000}
    response = client.post("/things", json=large)
    assert (response.status_code, response.json()["type"]) == (413, "urn:flawsmith:too-large")
    assert client.post("/uploads", json=large).status_code == 204


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"model": "m", "attributes": {"\ud800": [1, 2]}}),
        ("/exports", {"model": "m", "count": 3, "attributes": {"\udfff": [1, 2]}}),
        ("/training-jobs", {"dataset": "set", "model": "m", "overrides": {"a\\\ud800b": 1}}),
        ("/training-jobs?dry_run=true", {"dataset": "set", "model": "m", "crop": {"\ud800": 1}}),
        ("/compositions", {"\ud800": 1}),
        ("/webhooks", {"\ud800": "\udc00"}),
    ],
)
def test_half_of_a_surrogate_pair_as_a_name_is_refused_in_json(
    api: TestClient, services: Services, path: str, body: dict[str, Any]
) -> None:
    publish(services.registry, "job-1", "m")
    files = {f"pits/{number}.png": photograph(number) for number in range(3)}
    api.post("/datasets", data={"name": "set"}, files={"archive": zipped(files)})
    answer = api.post(path, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]
