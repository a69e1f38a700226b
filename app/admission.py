"""Who may come in: API keys and what each scope reaches."""

import hmac

from fastapi import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from app.problems import Problem, response
from core.settings import Scope

_REACH: dict[Scope, set[Scope]] = {
    "generate": {"generate"},
    "train": {"generate", "train"},
    "admin": {"generate", "train", "admin", "metrics"},
    "metrics": {"metrics"},
}
_OPEN = {"/healthz", "/readyz"}


def needed_scope(method: str, path: str) -> Scope:
    """What a call needs: reading models and making images least, removing and pointing aliases most."""
    if path.startswith("/metrics"):
        return "metrics"
    if method == "DELETE" or (method == "PUT" and "/aliases/" in path):
        return "admin"
    if path.startswith(("/datasets", "/training-jobs")):
        return "train"
    return "generate"


class Admission:
    """ASGI middleware around every path, also those that are not there. With no keys set everybody may come in."""

    def __init__(self, app: ASGIApp, keys: dict[str, Scope]) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.keys and scope["path"] not in _OPEN:
            request = Request(scope)
            try:
                self._admit(request)
            except Problem as problem:
                await response(request, problem)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _admit(self, request: Request) -> None:
        """Raises Problem 401 or 403."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        offered = given.strip().encode()
        scopes = [scope for key, scope in self.keys.items() if hmac.compare_digest(key.encode(), offered)]
        if scheme.lower() != "bearer" or not scopes:
            raise Problem(
                401,
                "no-key",
                "this service needs a key: send the header 'Authorization: Bearer KEY'",
                {"WWW-Authenticate": "Bearer"},
            )
        needed = needed_scope(request.method, request.url.path)
        if needed not in _REACH[scopes[0]]:
            raise Problem(403, "out-of-scope", f"this call needs a key of scope '{needed}'; yours is '{scopes[0]}'")
