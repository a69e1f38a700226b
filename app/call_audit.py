"""A line in the audit log for every call that changes something, or that tried to with a known key."""

import logging
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flawsmith.app.caller import caller_of
from flawsmith.app.idempotency import changes_nothing
from flawsmith.core.services import Services

log = logging.getLogger(__name__)

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
UNRECORDED = frozenset({"/generate"})  # it leaves nothing behind, and comes a thousand times a second


class CallAudit:
    """ASGI middleware around the check of keys.

    The line is on disk before the answer goes out, so that nobody has an answer without its line. Calls with an unknown
    key have none: strangers could fill the disk. What changes what is served has a line of its own beforehand.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in CHANGING or scope["path"].rstrip("/") in UNRECORDED:
            await self.app(scope, receive, send)
            return

        answered = False

        async def send_recorded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                if _is_recorded(scope, message["status"]):
                    await _record(scope, message)
            await send(message)

        try:
            await self.app(scope, receive, send_recorded)
        except Exception:  # which is answered outside
            if not answered and _is_recorded(scope, 500):
                await _record(scope, {"type": "http.response.start", "status": 500})
            raise


def _is_recorded(scope: Scope, status: int) -> bool:
    stranger = status in (401, 403) and "flawsmith_caller" not in scope
    return not stranger and _route(scope) is not None and not changes_nothing(Request(scope))


def _route(scope: Scope) -> str | None:
    """The path of the call's route, such as ``/datasets/{dataset_id}``, also of a call that did not get so far."""
    if "route" in scope:
        return str(scope["route"].path)
    for route in iter_route_contexts(scope["app"].routes):
        if scope["method"] in (route.methods or ()) and route.path_regex.match(scope["path"]):
            return route.path
    return None


async def _record(scope: Scope, message: Message) -> None:
    """The change is made by now: a log that cannot be written is an error in the other log."""
    services: Services | None = getattr(scope["app"].state, "services", None)
    if services is None:
        return
    try:
        await run_in_threadpool(services.audit.record_call, **_fields(scope, message))
    except OSError as error:
        log.error("cannot write the log of calls: %s", error.strerror)


def _fields(scope: Scope, message: Message) -> dict[str, Any]:
    status = message["status"]
    fields = {
        "caller": caller_of(Request(scope)),
        "method": scope["method"],
        "route": _route(scope),
        "resource": scope["path"],
        "status": status,
        "outcome": "done" if status < 400 else "failed" if status >= 500 else "refused",
    }
    for name, value in message.get("headers", ()):
        if name == b"location":
            with suppress(UnicodeDecodeError):
                fields["made"] = value.decode()
    return fields
