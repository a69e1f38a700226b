"""What every operation of the OpenAPI document has: its scope, the request headers it reads, and whole responses."""

from http import HTTPStatus
from typing import Any

from flawsmith.app.auth import OF_ANY_KEY, is_public, required_scope
from flawsmith.app.openapi.response_headers import headers_of
from flawsmith.core.settings import Settings

Operation = dict[str, Any]

ANY_BINARY = "application/octet-stream"
_BINARY = {"type": "string", "format": "binary"}
_TEXT = {"type": "string"}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "a string that is new for each change; a repeated call with it gets the first call's answer",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "the ETag of your copy; 304 where it is current",
    "schema": {"type": "string"},
}
_RANGE = {
    "name": "Range",
    "in": "header",
    "required": False,
    "description": "`bytes=1048576-` continues a broken download",
    "schema": {"type": "string"},
}
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "the id of the last event that you have; the events after it follow",
    "schema": {"type": "string"},
}


def complete_operation(
    path: str, method: str, operation: Operation, settings: Settings, scheme: str, keys_needed: bool
) -> None:
    """Completes one operation in place.

    Args:
        path: of the operation, such as ``/datasets/{dataset_id}``.
        method: in lower case.
        operation: as FastAPI describes it.
        settings: of the service that the document is of.
        scheme: name of the security scheme of API keys.
        keys_needed: whether calls need one.
    """
    responses = operation["responses"]
    _secure(path, method, operation, settings, scheme, keys_needed)
    if method != "get":
        _add_problems(responses, "409", "422", "429")
    for status, response in responses.items():
        _complete_content(response)
        response["headers"] = headers_of(path, method, status, set(responses)) | response.get("headers", {})
    operation["responses"] = dict(sorted(responses.items()))
    operation.setdefault("parameters", []).extend(_request_headers(method, responses))
    if not operation["parameters"]:
        del operation["parameters"]


def _secure(path: str, method: str, operation: Operation, settings: Settings, scheme: str, keys_needed: bool) -> None:
    """Says which scope the call needs. OpenAPI 3.1 lets a scheme of any type list the scopes as roles."""
    if is_public(path, settings.public_documents):
        operation["security"] = []
        operation["responses"].pop("401", None)
        return
    scopes = [] if path == OF_ANY_KEY else [required_scope(method.upper(), path)]
    needed = [{scheme: scopes}]
    operation["security"] = needed if keys_needed else [{}, *needed]
    said = f"Scope: `{scopes[0]}`." if scopes else "Scope: any."
    operation["description"] = f"{operation.get('description', '')}\n\n{said}".strip()


def _add_problems(responses: dict[str, Any], *statuses: str) -> None:
    """Adds the problems that every call with an Idempotency-Key may have, in the words of the others."""
    problem = responses["500"]
    for status in statuses:
        responses.setdefault(status, {**problem, "description": HTTPStatus(int(status)).phrase})


def _complete_content(response: dict[str, Any]) -> None:
    """Gives a schema to every media type that has none: text or bytes.

    Bytes are offered under `ANY_BINARY` as well: some generators of clients know no other binary type.
    """
    content = response.get("content", {})
    binary = False
    for media_type, described in content.items():
        if described.get("schema", {}) == {} and not media_type.endswith("json"):
            is_text = media_type.startswith("text/")
            described["schema"] = dict(_TEXT if is_text else _BINARY)
        binary = binary or described["schema"] == _BINARY
    if binary and ANY_BINARY not in content:
        json = content.pop("application/json", None)
        content[ANY_BINARY] = {"schema": dict(_BINARY)}
        if json:  # last: generators that know one type of several take the first one that they can read
            content["application/json"] = json


def _request_headers(method: str, responses: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    if method != "get":
        found.append(_IDEMPOTENCY_KEY)
    if "304" in responses:
        found.append(_IF_NONE_MATCH)
    if "206" in responses:
        found.append(_RANGE)
    if "text/event-stream" in responses.get("200", {}).get("content", {}):
        found.append(_LAST_EVENT_ID)
    return [dict(each) for each in found]
