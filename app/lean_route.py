"""A route that reads its body by pydantic alone, for the call whose answer is a lookup."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

_FLAG = TypeAdapter(bool)


class LeanRoute(APIRoute):
    """For an endpoint ``(request, body, *, flags)`` with one pydantic model as its JSON body and Boolean query flags.

    It refuses what FastAPI would, in the same form, and stands in the OpenAPI document as FastAPI wrote it; FastAPI's
    own way from a request to these arguments takes longer than all the rest of an answer from stock.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.dependant.call
        [field] = self.dependant.body_params
        model: type[BaseModel] = field.field_info.annotation  # type: ignore[assignment]
        flags = {parameter.name for parameter in self.dependant.query_params}
        assert endpoint is not None

        async def answer(request: Request) -> Response:
            body = _read(model, request, await request.body())
            given = _flags(request, flags) if request.scope["query_string"] else {}
            response: Response = await endpoint(request, body, **given)
            return response

        return answer


def _read(model: type[BaseModel], request: Request, raw: bytes) -> BaseModel:
    """Raises RequestValidationError."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not raw:
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}])
    if kind not in ("", "application/json") and not (kind.startswith("application/") and kind.endswith("+json")):
        refused = {"type": "model_attributes_type", "loc": ("body",), "msg": "not JSON", "input": None}
        raise RequestValidationError([refused], body=raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        errors = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_url=False)]
        raise RequestValidationError(errors) from error


def _flags(request: Request, known: set[str]) -> dict[str, bool]:
    """Raises RequestValidationError."""
    given = {}
    for name in known & request.query_params.keys():
        try:
            given[name] = _FLAG.validate_python(request.query_params[name])
        except ValidationError as error:
            errors = [{**each, "loc": ("query", name)} for each in error.errors(include_url=False)]
            raise RequestValidationError(errors) from error
    return given
