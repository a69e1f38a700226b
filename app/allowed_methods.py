"""Which methods a path supports, for the header Allow of a 405."""

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import Scope

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(app: FastAPI, scope: Scope) -> str:
    """Every method that some route supports at the path of ``scope``, such as ``"GET, HEAD, DELETE"``.

    The router itself names only the methods of the first route that has the path.
    """
    place = {key: scope[key] for key in ("type", "path", "root_path") if key in scope}
    allowed = [
        method
        for method in _METHODS
        if any(route.matches({**place, "method": method})[0] == Match.FULL for route in app.router.routes)
    ]
    if "GET" in allowed:
        allowed.insert(1, "HEAD")  # `HeadRequests` answers it
    return ", ".join(allowed)
