"""Every error that the API returns, as RFC 9457 problem+json (https://www.rfc-editor.org/rfc/rfc9457).

| type (urn:flawsmith:…)   | status | when                                                                  |
|--------------------------|--------|-----------------------------------------------------------------------|
| malformed-body           | 400    | the body is not valid JSON, or not valid multipart                    |
| malformed-request        | 400    | what arrived is not HTTP                                              |
| no-key                   | 401    | the call has no valid API key                                         |
| out-of-scope             | 403    | the scope of the API key does not permit the call                     |
| foreign-page             | 403    | no keys are set, and the call comes from a web page of another origin |
| not-found                | 404    | no such path, dataset, job, model, version, alias or sample           |
| method-not-allowed       | 405    | the path exists, but not with this method                             |
| not-acceptable           | 406    | none of the media types that the caller accepts can be served         |
| too-slow                 | 408    | headers, a body or an upload that stalled                             |
| conflict                 | 409    | a dataset in use, a version with an alias, a job in the wrong state,  |
|                          |        | a version whose files make no images in this release                  |
| too-similar              | 409    | images are nearer to a training photograph than `max_similarity`      |
| no-references            | 409    | the version has no photographs to compare images with                 |
| below-quality-floor      | 409    | images score less than the version's quality floor                    |
| attributes-not-found     | 409    | no image has the brightness and severity that were asked for          |
| no-image-scores          | 409    | the version has nothing to score images with                          |
| in-flight                | 409    | the first call with this Idempotency-Key is still running             |
| only-failing             | 409    | a bare model name, where every version is failing; `versions`         |
| not-for-production       | 409    | the alias `production`, for a version that `reasons` speak against    |
| limit-reached            | 409    | as many datasets, models or jobs, or bytes of them, as there may be   |
| withdrawn                | 410    | an operator withdrew the address of an image                          |
| too-large                | 413    | too many bytes, entries or unpacked bytes; 431 for headers            |
| not-an-archive           | 415    | the archive is neither zip, tar nor tar.gz                            |
| unsupported-media-type   | 415    | the body must be JSON, or multipart, and is not                       |
| content-coding           | 415    | the body is compressed (`Content-Encoding`)                           |
| range-not-satisfiable    | 416    | the file has none of the bytes that the header Range asks for         |
| invalid                  | 422    | invalid values; `errors` has a JSON pointer for each; `most_images`   |
|                          |        | of a `count` over the limit of a call                                 |
| cannot-tell              | 422    | an upload can be read in several ways; `candidates` has them          |
| no-usable-images         | 422    | fewer than two usable photographs; `rejected` has the reasons         |
| key-reused               | 422    | an Idempotency-Key came again with another body                       |
| busy                     | 429    | a queue is too long, or the caller exceeds its rate or its keys       |
| sampling-failed          | 500    | the worker could not make the images                                  |
| internal                 | 500    | a bug in Flawsmith; the log has it under the request id               |
| unavailable              | 503    | Redis, the disk or all workers of a queue are down, or a step of the  |
|                          |        | call took too long; `Retry-After`                                     |
| deadline-passed          | 504    | the images were not ready before `deadline_seconds`                   |
"""

import errno
import json
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kombu.exceptions import OperationalError
from pydantic import BaseModel, ValidationError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from flawsmith.app.allowed_methods import allowed_methods
from flawsmith.app.endpoint_signature import body_model
from flawsmith.app.invalid_values import described
from flawsmith.app.root_path import outside_path
from flawsmith.core.domain.job_states import JobEnded
from flawsmith.core.domain.request_body import MAX_ERRORS
from flawsmith.core.domain.training_config import CannotTrain
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.store.archives import ArchiveTooLarge, BrokenArchive, NotAnArchive
from flawsmith.core.store.datasets import (
    CannotTell,
    NameTaken,
    NothingNew,
    TooFewImages,
    UnknownDataset,
    UnknownSplit,
)
from flawsmith.core.store.datasets.annotations import LaterFormat
from flawsmith.core.store.registry import OnlyFailing, UnknownModel, VersionInUse
from flawsmith.core.store.webhooks import UnknownWebhook

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
CLIENT_GONE = 499  # nginx's status for a client that disconnected; only in the log and the metrics
RETRY_SECONDS = 5  # `flawsmith serve` restarts a dead process in about this time


class Problem(Exception):
    """An error response. ``detail`` says what was wrong and what would be right; ``members`` are further JSON keys."""

    def __init__(
        self, status: int, kind: str, detail: str, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.members = headers or {}, members


def invalid(pointer: str, detail: str) -> Problem:
    """A 422 for one value of the body, at a JSON pointer."""
    return Problem(422, "invalid", detail, errors=[{"pointer": pointer, "detail": detail}])


def unavailable(detail: str) -> Problem:
    """A 503 with `Retry-After`: a part of the service is down and should soon be back."""
    return Problem(503, "unavailable", detail, {"Retry-After": str(RETRY_SECONDS)})


class _ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """A refused name may be half of a surrogate pair, which UTF-8 has no bytes for: it stays an escape."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def problem_response(request: Request, problem: Problem) -> JSONResponse:
    """The problem+json answer to this request."""
    body = {
        "type": f"urn:flawsmith:{problem.kind}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": outside_path(request, request.url.path),
        **problem.members,
    }
    return _ProblemResponse(body, problem.status, problem.headers)


PROBLEM_SCHEMAS: dict[str, dict[str, Any]] = {
    "Problem": {
        "type": "object",
        "description": "An error (RFC 9457). Some types have further members, such as `reasons` or `rejected`",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": {
            "type": {"type": "string", "description": "`urn:flawsmith:` and the type, which programs can rely on"},
            "title": {"type": "string", "description": "the status in words"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "what was wrong, and what would be right"},
            "instance": {"type": "string", "description": "the path of the call"},
            "errors": {
                "type": "array",
                "description": "of a 422: what was wrong with each value",
                "items": {"$ref": "#/components/schemas/InvalidValue"},
            },
        },
    },
    "InvalidValue": {
        "type": "object",
        "description": "One value that a call refused",
        "required": ["pointer", "detail"],
        "properties": {
            "pointer": {"type": "string", "description": "JSON pointer into the body, or such as `/query/limit`"},
            "detail": {"type": "string"},
        },
    },
}
"""Components of the OpenAPI document, to which the responses of `documented` refer."""


_REFERENCE = {"$ref": "#/components/schemas/Problem"}
Responses = dict[int | str, dict[str, Any]]
PNG: Responses = {200: {"content": {"image/png": {}}}}


def documented(*statuses: int, also: Responses | None = None) -> Responses:
    """A route's responses for OpenAPI: these problems, those common to all routes, and the ``also`` responses."""
    return (also or {}) | {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
        for status in sorted({400, 401, 403, 413, 415, 422, 500, 503, *statuses})
    }


def install(app: FastAPI) -> None:
    """Registers a handler for every exception, so that each becomes one of the problems above."""
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(405, _refuse_method)
    for exception, translate in _TRANSLATIONS.items():
        app.add_exception_handler(exception, _handler(translate))


def _handler(
    translate: Callable[[Any], Problem],
) -> Callable[[Request, Exception], Coroutine[Any, Any, JSONResponse]]:
    async def handle(request: Request, error: Exception) -> JSONResponse:  # FastAPI runs plain functions in a thread
        return problem_response(request, translate(error))

    return handle


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _refuse_method(request: Request, error: Exception) -> JSONResponse:
    allow = allowed_methods(request.app, request.scope)
    detail = f"this path does not support {request.method}; it supports {allow}"
    return problem_response(request, Problem(405, "method-not-allowed", detail, {"Allow": allow}))


async def _refuse_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem_response(request, _from_validation(request, error))


def _from_http(error: HTTPException) -> Problem:
    if isinstance(error.__cause__, Problem):  # raised while FastAPI read the body
        return error.__cause__
    kinds = {400: "malformed-body", 404: "not-found"}
    details = {
        400: "the body is not valid JSON",
        404: "there is nothing at this path; /docs lists the paths",
    }
    status = error.status_code
    return Problem(status, kinds.get(status, "invalid"), details.get(status, error.detail), dict(error.headers or {}))


def _from_validation(request: Request, error: RequestValidationError) -> Problem:
    errors = error.errors()
    if errors[0]["loc"] == ("body",) and isinstance(error.body, bytes):
        return Problem(415, "unsupported-media-type", "send the body as JSON, with 'Content-Type: application/json'")
    if any(each["type"] == "json_invalid" for each in errors):
        return Problem(400, "malformed-body", "the body is not valid JSON")
    model = body_model(request.scope["endpoint"])
    known = list(model.model_fields) if model else []
    return of_errors([(_pointer(each["loc"]), described(each, known)) for each in errors])


def of_pydantic(error: ValidationError, model: type[BaseModel], below: str) -> Problem:
    """A 422 for a part of the body that was validated separately; ``below`` is that part's JSON pointer."""
    known = list(model.model_fields)
    return of_errors([(below + _pointer(("body", *each["loc"])), described(each, known)) for each in error.errors()])


def of_errors(errors: list[tuple[str, str]]) -> Problem:
    """A 422 with (JSON pointer, detail) pairs, of which it lists the first `MAX_ERRORS`."""
    listed = [{"pointer": pointer, "detail": detail} for pointer, detail in errors[:MAX_ERRORS]]
    detail = "; ".join(f"{pointer or 'body'}: {detail}" for pointer, detail in errors[:5])
    return Problem(422, "invalid", detail, errors=listed)


def unknown_parameters(names: list[str], known: tuple[str, ...]) -> Problem:
    """A 422 for query parameters that the call does not know."""
    right = f"the known ones are {', '.join(known)}" if known else "this call has none"
    return of_errors([(_pointer(("query", name)), f"unknown query parameter; {right}") for name in names[:100]])


def _pointer(location: tuple[int | str, ...]) -> str:
    """A JSON pointer (RFC 6901) into the body, or a path such as ``/query/limit`` for other parameters."""
    parts = location[1:] if location[0] == "body" else location
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _from_timeout(error: TimeoutError) -> Problem:
    if error.errno is not None:  # the operating system's ETIMEDOUT, as of a network file system
        return _from_os(error)
    log.error("a step of the call took too long", exc_info=error)
    return unavailable("a step of this call took too long and was given up; try again shortly")


def _from_connection(error: ConnectionError) -> Problem:
    log.error("a connection inside the service was lost", exc_info=error)
    return unavailable("a connection inside the service was lost; try again shortly")


def _from_os(error: OSError) -> Problem:
    log.error("the artifact store failed: %s", error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(503, "unavailable", "the disk of the artifact store is full; free some space and try again")
    return unavailable("the artifact store cannot be read or written")


def _from_redis(error: Exception) -> Problem:
    if isinstance(error, RedisTimeoutError):
        log.error("Redis did not answer in time: %s", error)
        return unavailable("Redis did not answer in time; try again shortly")
    if isinstance(error, OutOfMemoryError):
        log.error("Redis is full: %s", error)
        return unavailable("Redis is full and refuses writes; an operator must raise its maxmemory")
    log.error("Redis cannot be reached: %s", error)
    return unavailable("Redis cannot be reached; try again shortly")


def _from_only_failing(error: OnlyFailing) -> Problem:
    reasons = error.newest.verdict.reasons if error.newest.verdict else []
    return Problem(409, "only-failing", str(error), reasons=reasons, versions=error.model.versions)


def _internal(error: Exception) -> Problem:
    log.error("unexpected error", exc_info=error)
    return Problem(500, "internal", "a bug in the service; its log has the details under this X-Request-ID")


_TRANSLATIONS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda problem: problem,
    HTTPException: _from_http,
    UnknownDataset: lambda error: Problem(404, "not-found", str(error)),
    LaterFormat: lambda error: Problem(409, "conflict", str(error)),
    UnknownJob: lambda error: Problem(404, "not-found", str(error)),
    UnknownModel: lambda error: Problem(404, "not-found", str(error)),
    UnknownWebhook: lambda error: Problem(404, "not-found", str(error)),
    VersionInUse: lambda error: Problem(409, "conflict", str(error)),
    OnlyFailing: _from_only_failing,
    NameTaken: lambda error: Problem(409, "conflict", str(error)),
    JobEnded: lambda error: Problem(409, "conflict", str(error)),
    CannotTrain: lambda error: invalid(error.pointer, error.detail),
    NotAnArchive: lambda error: Problem(415, "not-an-archive", str(error)),
    UnknownSplit: lambda error: invalid("/split", str(error)),
    CannotTell: lambda error: Problem(
        422,
        "cannot-tell",
        str(error),
        errors=[{"pointer": f"/{error.field}", "detail": str(error)}],
        candidates=error.candidates,
    ),
    BrokenArchive: lambda error: invalid("/archive", str(error)),
    ArchiveTooLarge: lambda error: Problem(413, "too-large", str(error)),
    TooFewImages: lambda error: Problem(
        422,
        "no-usable-images",
        str(error),
        errors=[{"pointer": "/archive", "detail": str(error)}],
        rejected=[each.model_dump() for each in error.rejected],
    ),
    NothingNew: lambda error: Problem(
        422,
        "nothing-new",
        str(error),
        errors=[{"pointer": "/archive", "detail": str(error)}],
        rejected=[each.model_dump() for each in error.rejected],
    ),
    RedisError: _from_redis,
    OperationalError: _from_redis,
    TimeoutError: _from_timeout,
    ConnectionError: _from_connection,
    OSError: _from_os,
    Exception: _internal,
}
