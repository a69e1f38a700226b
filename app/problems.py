"""Every error that a caller can meet, as RFC 9457 problem+json (https://www.rfc-editor.org/rfc/rfc9457).

| type (urn:flawsmith:…)   | status | when                                                                  |
|--------------------------|--------|-----------------------------------------------------------------------|
| malformed-body           | 400    | the body is not JSON, or not the multipart that it says it is         |
| no-key                   | 401    | FLAWSMITH_API_KEYS is set and the call has no known key               |
| out-of-scope             | 403    | the key's scope does not reach                                        |
| not-found                | 404    | no such path, dataset, job, model, version, alias or sample           |
| method-not-allowed       | 405    | the path is there, the method is not                                  |
| not-acceptable           | 406    | no media type that the caller accepts                                 |
| too-slow                 | 408    | an upload that fell silent                                            |
| conflict                 | 409    | a dataset in use, an alias in the way, a job in the wrong state       |
| in-flight                | 409    | the first call with this Idempotency-Key is not done                  |
| too-large                | 413    | too many bytes, entries or unpacked bytes                             |
| not-an-archive           | 415    | neither zip, tar nor tar.gz                                           |
| unsupported-media-type   | 415    | a body that is not JSON, or not multipart, where it must be           |
| invalid                  | 422    | the body's or the query's values; `errors` has a JSON pointer for each|
| no-usable-images         | 422    | fewer than two usable photographs; `rejected` says why                |
| key-reused               | 422    | an Idempotency-Key with another body than the first time              |
| busy                     | 429    | too much work ahead, or more images than the caller's rate allows     |
| sampling-failed          | 500    | the worker could not make the images                                  |
| internal                 | 500    | a defect of Flawsmith; the log has it under the request's id          |
| unavailable              | 503    | Redis, the disk or every worker of a queue is away; `Retry-After`     |
| deadline-passed          | 504    | the images were not ready before `deadline_seconds`                   |
"""

import errno
import logging
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kombu.exceptions import OperationalError
from pydantic import BaseModel, ValidationError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from flawsmith.core.domain.job_states import JobEnded
from flawsmith.core.domain.training_config import CannotTrain
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.store.archives import ArchiveTooLarge, BrokenArchive, NotAnArchive
from flawsmith.core.store.datasets import TooFewImages, UnknownDataset
from flawsmith.core.store.registry import UnknownModel, VersionInUse

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
CLIENT_GONE = 499  # nginx's word for it, for the log and the metrics: the client has no answer
RETRY_SECONDS = 5  # how soon a part that died is back, under `flawsmith serve`


class Problem(Exception):
    """An error on its way to the caller; ``detail`` says what was wrong and what would be right."""

    def __init__(
        self, status: int, kind: str, detail: str, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.members = headers or {}, members


def invalid(pointer: str, detail: str) -> Problem:
    """One value of the body that cannot be."""
    return Problem(422, "invalid", detail, errors=[{"pointer": pointer, "detail": detail}])


def unavailable(detail: str) -> Problem:
    """Nobody can serve this now; soon somebody may."""
    return Problem(503, "unavailable", detail, {"Retry-After": str(RETRY_SECONDS)})


def response(request: Request, problem: Problem) -> JSONResponse:
    body = {
        "type": f"urn:flawsmith:{problem.kind}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        **problem.members,
    }
    return JSONResponse(body, problem.status, problem.headers, MEDIA_TYPE)


_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was wrong, and what would be right"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


Responses = dict[int | str, dict[str, Any]]
PNG: Responses = {200: {"content": {"image/png": {}}}}


def documented(*statuses: int, also: Responses | None = None) -> Responses:
    """A route's answers for OpenAPI: its problems, those that every call can meet, and ``also`` what is no problem."""
    return (also or {}) | {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
        for status in sorted({400, 401, 403, 413, 422, 500, 503, *statuses})
    }


def install(app: FastAPI) -> None:
    """Makes every exception of this application one of the problems above."""
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(ClientDisconnect, _nobody_reads)
    for exception, translate in _TRANSLATIONS.items():
        app.add_exception_handler(exception, _handler(translate))


def _handler(
    translate: Callable[[Any], Problem],
) -> Callable[[Request, Exception], Coroutine[Any, Any, JSONResponse]]:
    async def handle(request: Request, error: Exception) -> JSONResponse:  # a plain function would go to a thread
        return response(request, translate(error))

    return handle


async def _nobody_reads(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _refuse_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return response(request, _from_validation(request, error))


def _from_http(error: HTTPException) -> Problem:
    if isinstance(error.__cause__, Problem):  # raised while FastAPI read the body: it knows better what is wrong
        return error.__cause__
    kinds = {400: "malformed-body", 404: "not-found", 405: "method-not-allowed"}
    details = {
        400: "the body is not valid JSON",
        404: "there is nothing at this path; /docs lists what there is",
        405: "this path does not take this method; the header Allow lists those it takes",
    }
    status = error.status_code
    return Problem(status, kinds.get(status, "invalid"), details.get(status, error.detail), dict(error.headers or {}))


def _from_validation(request: Request, error: RequestValidationError) -> Problem:
    errors = error.errors()
    if errors[0]["loc"] == ("body",) and isinstance(error.body, bytes):
        return Problem(415, "unsupported-media-type", "send the body as JSON, with 'Content-Type: application/json'")
    if any(each["type"] == "json_invalid" for each in errors):
        return Problem(400, "malformed-body", "the body is not valid JSON")
    known = _keys_of_body(request)
    return of_errors([(_pointer(each["loc"]), _words(each, known)) for each in errors])


def of_pydantic(error: ValidationError, model: type[BaseModel], below: str) -> Problem:
    """The problem of a part of the body that was validated by itself; ``below`` is that part's pointer."""
    known = list(model.model_fields)
    return of_errors([(below + _pointer(("body", *each["loc"])), _words(each, known)) for each in error.errors()])


def _words(error: Mapping[str, Any], known: list[str]) -> str:
    if error["type"] == "extra_forbidden":
        return f"unknown key; the keys here are {', '.join(known)}"
    return str(error["msg"])


def _keys_of_body(request: Request) -> list[str]:
    """The keys that the body of this call's route may have."""
    fields = request.scope["route"].dependant.body_params
    return [key for field in fields for key in getattr(field.field_info.annotation, "model_fields", ())]


def of_errors(errors: list[tuple[str, str]]) -> Problem:
    """A 422 with a pointer for each."""
    listed = [{"pointer": pointer, "detail": detail} for pointer, detail in errors]
    detail = "; ".join(f"{pointer or 'body'}: {detail}" for pointer, detail in errors[:5])
    return Problem(422, "invalid", detail, errors=listed)


def _pointer(location: tuple[int | str, ...]) -> str:
    """A JSON pointer (RFC 6901) into the body, or ``/query/limit`` and the like for what is not in it."""
    parts = location[1:] if location[0] == "body" else location
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _from_os(error: OSError) -> Problem:
    log.error("the artifact store refuses: %s", error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(503, "unavailable", "the disk of the artifact store is full; free some space and try again")
    return unavailable("the artifact store cannot be read or written")


def _from_redis(error: Exception) -> Problem:
    log.error("Redis is away: %s", error)
    return unavailable("Redis cannot be reached; try again shortly")


def _internal(error: Exception) -> Problem:
    log.error("unexpected", exc_info=error)
    return Problem(500, "internal", "a defect of the service; its log has the details under this X-Request-ID")


_TRANSLATIONS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda problem: problem,
    HTTPException: _from_http,
    UnknownDataset: lambda error: Problem(404, "not-found", str(error)),
    UnknownJob: lambda error: Problem(404, "not-found", str(error)),
    UnknownModel: lambda error: Problem(404, "not-found", str(error)),
    VersionInUse: lambda error: Problem(409, "conflict", str(error)),
    JobEnded: lambda error: Problem(409, "conflict", str(error)),
    CannotTrain: lambda error: invalid(error.pointer, error.detail),
    NotAnArchive: lambda error: Problem(415, "not-an-archive", str(error)),
    BrokenArchive: lambda error: invalid("/archive", str(error)),
    ArchiveTooLarge: lambda error: Problem(413, "too-large", str(error)),
    TooFewImages: lambda error: Problem(
        422,
        "no-usable-images",
        str(error),
        errors=[{"pointer": "/archive", "detail": str(error)}],
        rejected=[each.model_dump() for each in error.rejected],
    ),
    RedisError: _from_redis,
    OperationalError: _from_redis,
    OSError: _from_os,
    Exception: _internal,
}
