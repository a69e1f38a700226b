"""Authentication by API key and authorisation by scope (RFC 6750, `Authorization: Bearer KEY`)."""

import re
from collections.abc import Sequence

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as ASGIScope

from flawsmith.app.keyring import Keyring
from flawsmith.app.local_only import LocalOnly
from flawsmith.app.problems import Problem, problem_response
from flawsmith.core.job_kinds import job_kinds
from flawsmith.core.logs import caller_name
from flawsmith.core.setting_values import Scope

PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/"})
PUBLIC_FOLDERS = ("/page/", "/v2/health/")  # the page asks for the key itself
DOCUMENTS = frozenset({"/docs", "/openapi.json", "/llms.txt"})
DOCUMENT_FOLDERS = ("/docs/",)
OF_ANY_KEY = "/caller"
_JOBS_OF_VERSION = re.compile(r"/models/[^/]+/versions/[^/]+/(evaluations|compare|labels)/?")
_GRANTS: dict[Scope, set[Scope]] = {
    "generate": {"generate"},
    "train": {"generate", "train"},
    "admin": {"generate", "train", "admin", "metrics"},
    "metrics": {"metrics"},
}


def is_public(path: str, documents: bool) -> bool:
    """Whether a path needs no key; ``documents``: whether those about the API need none."""
    if path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDERS):
        return True
    return documents and (path in DOCUMENTS or path.startswith(DOCUMENT_FOLDERS))


def required_scope(method: str, path: str) -> Scope:
    """The scope that a call needs.

    Reading models and generating images needs the lowest scope; deleting, and setting aliases, quality floors and
    standing webhooks and importing versions, the highest; what is written on jobs and versions, the one that trains.
    """
    if path.startswith("/metrics"):
        return "metrics"
    if method in ("DELETE", "PUT"):
        return "admin"
    if method == "PATCH":
        return "train"
    if method == "POST" and path.rstrip("/") in ("/webhooks", "/models/import"):
        return "admin"
    if path.startswith(("/datasets", "/webhook", *(kind.path for kind in job_kinds()))) or _shows_photographs(path):
        return "train"
    if _JOBS_OF_VERSION.fullmatch(path):
        return "train"
    return "generate"


def _shows_photographs(path: str) -> bool:
    """Whether a path is that of a version's quality report, its page or its bundle."""
    return path.startswith("/models/") and path.rpartition("/")[2] in ("report", "report.html", "bundle")


def permits(given: Scope, required: Scope) -> bool:
    """Whether a key of the scope ``given`` reaches a call that needs ``required``."""
    return required in _GRANTS[given]


def granted_scopes(request: Request) -> set[Scope] | None:
    """What the caller's key permits; None where the service has no keys, and everything is permitted."""
    given: Scope | None = request.scope.get("flawsmith_scope")
    return None if given is None else _GRANTS[given]


def check_scope(request: Request, required: Scope, what: str) -> None:
    """Raises Problem 403 for a part of a call, such as a query parameter, that the caller's key does not permit."""
    given: Scope | None = request.scope.get("flawsmith_scope")  # none without keys
    if given is not None and required not in _GRANTS[given]:
        raise Problem(403, "out-of-scope", f"{what} needs a key of scope '{required}'; yours is '{given}'")


class Authentication:
    """ASGI middleware that checks the API key of every call, on unknown paths too."""

    def __init__(self, app: ASGIApp, keyring: Keyring, public_documents: bool = False) -> None:
        self.app, self.keyring, self.public_documents = app, keyring, public_documents

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_public(scope["path"], self.public_documents):
            try:
                self._authenticate(scope)
            except Problem as problem:
                await problem_response(Request(scope), problem)(scope, receive, send)
                return
            send = _private(send)
        await self.app(scope, receive, send)

    def _authenticate(self, scope: ASGIScope) -> None:
        """Notes whose key it is, and what it opens.

        Raises:
            Problem: 401 without a known key, 403 where the key's scope does not reach.
        """
        scheme, _, given = _authorization(scope).partition(b" ")
        grant = self.keyring.find(given.strip() if scheme.lower() == b"bearer" else b"")
        scope["flawsmith_caller"], scope["flawsmith_scope"] = grant.caller, grant.scope
        scope["flawsmith_limits"] = grant.limits
        caller_name.set(grant.caller)
        path = scope["path"]
        required = required_scope(scope["method"], path)
        if required not in _GRANTS[grant.scope] and path != OF_ANY_KEY:
            raise Problem(403, "out-of-scope", f"this call needs a key of scope '{required}'; yours is '{grant.scope}'")


class AccessControl:
    """ASGI middleware: where keys are needed, calls need one; else they must come from this machine.

    Keys may become needed while the process runs.
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, public_documents: bool, origins: Sequence[str]) -> None:
        self.keyring = keyring
        self._with_keys = Authentication(app, keyring, public_documents)
        self._without = LocalOnly(app, origins)

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        await (self._with_keys if self.keyring.required else self._without)(scope, receive, send)


def _authorization(scope: ASGIScope) -> bytes:
    """The header, without what a framework makes of all headers: strangers send thousands of calls."""
    return next((value for name, value in scope["headers"] if name == b"authorization"), b"")


def _private(send: Send) -> Send:
    """Keeps shared caches from storing an answer that needed a key: they would give it to callers without one."""

    async def send_private(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            directives = [each.strip() for each in headers.get("cache-control", "").split(",")]
            kept = [each for each in directives if each and each not in ("public", "private")]
            headers["cache-control"] = ", ".join(["private", *kept])
            message["headers"] = headers.raw
        await send(message)

    return send_private
