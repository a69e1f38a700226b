"""Cross-origin calls (the Fetch standard's CORS protocol) of web pages whose origins a setting lists."""

from collections.abc import Sequence

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Scope

from flawsmith.app.openapi.response_headers import RESPONSE_HEADERS
from flawsmith.app.problems import Problem, problem_response

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_REQUEST_HEADERS = (
    *("Accept", "Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID"),
    *("Range", "X-Request-ID"),
)


class CrossOrigin(CORSMiddleware):
    """Starlette's middleware, with refusals as problem+json.

    Keys travel in `Authorization`, so that no cookies are allowed.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            allow_private_network=True,  # the setting names the origins
            expose_headers=list(RESPONSE_HEADERS),
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        wrong = bytes(answer.body).decode().removeprefix("Disallowed CORS ")
        detail = (
            f"pages of this origin may not make this call (refused: {wrong}); FLAWSMITH_CORS_ORIGINS lists the origins,"
            f" methods are {', '.join(_METHODS)}, headers {', '.join(_REQUEST_HEADERS)}"
        )
        scope: Scope = {
            "type": "http",
            "method": "OPTIONS",
            "path": "/",
            "headers": [],
            "query_string": b"",
            "server": None,
        }
        return problem_response(Request(scope), Problem(403, "foreign-page", detail, {"Vary": "Origin"}))
