"""Limits the calls of one caller, and tells each caller its limits in the headers RateLimit-Policy and RateLimit."""

from contextlib import suppress

from fastapi import Request
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flawsmith.app.auth import is_public
from flawsmith.app.problems import Problem, problem_response
from flawsmith.app.rate_limit import Account, Meter, Standings, account_of
from flawsmith.core.settings import Settings


class CallLimits:
    """ASGI middleware behind the check of keys; public paths are not counted.

    A call that is refused later has been counted all the same: it cost what the limit is for. While Redis is away,
    nothing is counted: the calls that need it are refused anyway.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._limits_by_default = any(
            (settings.caller_calls_per_second, settings.caller_images_per_second, settings.caller_images_per_day)
        )
        self._meter: tuple[Redis, Meter] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._is_limited(scope):
            await self.app(scope, receive, send)
            return
        standings: Standings = {}
        scope["flawsmith_standings"] = standings
        request = Request(scope)
        send = _telling(send, standings)
        try:
            await self._charge(account_of(request), scope["app"].state.redis)
        except Problem as problem:
            await problem_response(request, problem)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_limited(self, scope: Scope) -> bool:
        if scope.get("flawsmith_limits") is None and not self._limits_by_default:
            return False
        return not is_public(scope["path"], self.settings.public_documents)

    async def _charge(self, account: Account, redis: Redis) -> None:
        """Raises Problem 429 over the rate."""
        own = account.limits.calls_per_second
        rate = self.settings.caller_calls_per_second if own is None else own
        if rate:
            if self._meter is None or self._meter[0] is not redis:
                self._meter = redis, Meter(redis, "calls")
            with suppress(RedisError):
                await self._meter[1].charge(account, 1, rate)


def _telling(send: Send, standings: Standings) -> Send:
    """Adds what the standings hold once the answer begins."""

    async def send_with_limits(message: Message) -> None:
        if message["type"] == "http.response.start" and standings:
            policies, left = (", ".join(each).encode() for each in zip(*standings.values(), strict=True))
            told = [(b"ratelimit-policy", policies), (b"ratelimit", left)]
            message["headers"] = [*message.get("headers", ()), *told]
        await send(message)

    return send_with_limits
