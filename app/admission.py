"""Who may come in: API keys and what each scope reaches."""

import hmac

from fastapi import Request

from app.problems import Problem
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


def admit(request: Request) -> None:
    """Lets a call in, or raises Problem 401 or 403. With no keys set everybody may come in, from this machine."""
    keys: dict[str, Scope] = request.app.state.services.settings.keys
    if not keys or request.url.path in _OPEN:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    offered = given.strip().encode()
    scopes = [scope for key, scope in keys.items() if hmac.compare_digest(key.encode(), offered)]
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
