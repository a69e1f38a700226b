"""Who may come in: API keys and what each scope reaches, and how many images a caller may ask for."""

import hashlib
import hmac
import math

from fastapi import Request
from redis.asyncio import Redis
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from flawsmith.app.problems import Problem, response
from flawsmith.core.job_kinds import job_kinds
from flawsmith.core.live import keys
from flawsmith.core.settings import Scope, Settings

_REACH: dict[Scope, set[Scope]] = {
    "generate": {"generate"},
    "train": {"generate", "train"},
    "admin": {"generate", "train", "admin", "metrics"},
    "metrics": {"metrics"},
}
_OPEN = {"/healthz", "/readyz"}

_TAKE = """
local stamp = redis.call('time')
local now = stamp[1] * 1000 + math.floor(stamp[2] / 1000)
local paid = math.max(tonumber(redis.call('get', KEYS[1]) or now), now)
if paid - now > 1000 then return paid - now - 1000 end
local till = math.floor(paid + ARGV[1])
if till > now then redis.call('set', KEYS[1], string.format('%.0f', till), 'px', till - now) end
return 0
"""


def needed_scope(method: str, path: str) -> Scope:
    """What a call needs: reading models and making images least, removing and pointing aliases most."""
    if path.startswith("/metrics"):
        return "metrics"
    if method == "DELETE" or (method == "PUT" and "/aliases/" in path):
        return "admin"
    if path.startswith(("/datasets", *(kind.path for kind in job_kinds()))):
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
                scope["flawsmith_caller"] = self._admit(request)
            except Problem as problem:
                await response(request, problem)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _admit(self, request: Request) -> str:
        """Names the caller, not by its key. Raises Problem 401 or 403."""
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
        return hashlib.sha256(offered).hexdigest()[:16]


class CallerRate:
    """Bounds the images a second that one caller asks for on average.

    A caller may have a second's debt; what it asks for is added to it, and paid off at the rate (the generic cell rate
    algorithm, ITU-T I.371).
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.rate = settings.caller_images_per_second
        self._take = redis.register_script(_TAKE)

    async def take(self, caller: str, count: int) -> None:
        """Raises Problem 429 where the caller asked for too much lately."""
        if not self.rate:
            return
        milliseconds = int(await self._take([keys.caller_rate(caller)], [count / self.rate * 1000]))
        if milliseconds:
            seconds = math.ceil(milliseconds / 1000)
            detail = f"you may ask for {self.rate:g} images a second on average; try again in {seconds} s"
            raise Problem(429, "busy", detail, {"Retry-After": str(seconds)})
