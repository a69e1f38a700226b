"""A route whose JSON body pydantic parses directly, for the one call that must be fast: POST /generate."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.types import Receive, Scope, Send

from flawsmith.app.endpoint_signature import body_model, query_flags
from flawsmith.app.query_parameters import check_parameters
from flawsmith.core.domain.request_body import MAX_ERRORS, without_surplus

_FLAG = TypeAdapter(bool)


class DirectBodyRoute(APIRoute):
    """Calls an endpoint ``(request, body, **flags)``: one pydantic model as JSON body, Boolean query parameters.

    It skips FastAPI's dependency resolution, which takes longer than the rest of an answer from the image pool. Errors
    have the same form as FastAPI's, and FastAPI still writes the OpenAPI entry. Among an application's own routes it
    also skips FastAPI's exit stacks, which are for dependencies; in an included router FastAPI adds them.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        handle = self.get_route_handler()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await handle(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint, model, flags = self.endpoint, body_model(self.endpoint), query_flags(self.endpoint)
        assert model is not None, f"{endpoint} has no pydantic model as its body"

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                check_parameters(request, tuple(sorted(flags)))
            body = _parse_body(model, request, await request.body())
            given = _parse_flags(request, flags) if request.scope["query_string"] else {}
            response: Response = await endpoint(request, body, **given)
            return response

        return handle


def _parse_body(model: type[BaseModel], request: Request, raw: bytes) -> BaseModel:
    """Raises RequestValidationError."""
    # A body without a type is refused: a page of a stranger may send one to another origin without being asked back.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not raw:
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}])
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        not_json = {"type": "model_attributes_type", "loc": ("body",), "msg": "not JSON", "input": None}
        raise RequestValidationError([not_json], body=raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        return _parse_as_fastapi_does(model, raw, error)


def _parse_as_fastapi_does(model: type[BaseModel], raw: bytes, error: ValidationError) -> BaseModel:
    """Reads what Python's `json` reads and pydantic does not: a byte order mark, UTF-16, a lone surrogate.

    Windows clients send the first two, and every call shall read the same. Raises RequestValidationError.
    """
    if error.error_count() == 1 and error.errors(include_url=False)[0]["type"] == "json_invalid":
        try:
            return model.model_validate(json.loads(raw))
        except ValidationError as of_values:
            error = of_values
        except (ValueError, RecursionError):
            pass
    errors = [{**each, "loc": ("body", *each["loc"])} for each in _first_errors(error, model, raw)]
    raise RequestValidationError(errors) from error


def _first_errors(error: ValidationError, model: type[BaseModel], raw: bytes) -> list[ErrorDetails]:
    """The errors of a body; of one with more than `MAX_ERRORS` unknown keys those of the first."""
    if error.error_count() > MAX_ERRORS:
        try:
            model.model_validate(without_surplus(model, json.loads(raw)))
        except ValidationError as first:
            error = first
    return error.errors(include_url=False)


def _parse_flags(request: Request, known: frozenset[str]) -> dict[str, bool]:
    """Raises RequestValidationError."""
    given = {}
    for name in known & request.query_params.keys():
        try:
            given[name] = _FLAG.validate_python(request.query_params[name])
        except ValidationError as error:
            errors = [{**each, "loc": ("query", name)} for each in error.errors(include_url=False)]
            raise RequestValidationError(errors) from error
    return given
