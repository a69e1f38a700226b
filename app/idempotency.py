"""`Idempotency-Key`: a repeated call with the same key and body gets the first call's answer.

It follows draft-ietf-httpapi-idempotency-key-header. Redis keeps the answers for a day.
"""

import base64
import hashlib
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flawsmith.app.caller import caller_of
from flawsmith.app.idempotency_bound import IdempotencyBound
from flawsmith.app.problems import Problem
from flawsmith.core.live import keys

log = logging.getLogger(__name__)

KEPT_SECONDS = 24 * 3600
IN_FLIGHT_SECONDS = 600  # then the key of a call whose process died is free again
MAX_KEY_LENGTH = 255


class Idempotency:
    """The idempotency key of one call: `begin` the call, then `keep` its answer or, if it failed, `forget` the key."""

    def __init__(self, redis: Redis, request: Request) -> None:
        self.redis = redis
        self.given = request.headers.get("idempotency-key")
        if self.given is not None and not 0 < len(self.given) <= MAX_KEY_LENGTH:
            raise Problem(400, "malformed-body", f"an Idempotency-Key must have 1 to {MAX_KEY_LENGTH} characters")
        self.key = self.body_digest = ""
        if self.given is not None:
            caller = request.headers.get("authorization", "")
            scope = f"{caller}\n{request.method}\n{request.url.path}\n{self.given}"
            self.key = keys.idempotency(hashlib.sha256(scope.encode()).hexdigest())
            self.bound = IdempotencyBound(redis, caller_of(request), KEPT_SECONDS)

    async def begin(self, body: bytes) -> Any | None:
        """Returns the first call's answer, or None if this is the first call or has no key.

        Raises:
            Problem: 409 while the first call is in flight, 422 if it had another body, 429 for too many keys.
        """
        if self.given is None:
            return None
        self.body_digest = hashlib.sha256(body).hexdigest()
        await self.bound.admit(self.key)
        in_flight = json.dumps({"asked": self.body_digest, "answer": None})
        if await self.redis.set(self.key, in_flight, nx=True, ex=IN_FLIGHT_SECONDS):
            return None
        first = json.loads(await self.redis.get(self.key) or in_flight)
        if first["asked"] != self.body_digest:
            raise Problem(422, "key-reused", "this Idempotency-Key was used with another body; use a new key")
        if first["answer"] is None:
            raise Problem(
                409, "in-flight", "the first call with this Idempotency-Key is still running", {"Retry-After": "1"}
            )
        return first["answer"]

    async def keep(self, answer: Any) -> None:
        """Stores an answer (JSON) for repeated calls.

        If Redis is down it only logs a warning: the call succeeded, and its caller must get the answer.
        """
        if self.given is not None:
            kept = json.dumps({"asked": self.body_digest, "answer": answer})
            try:
                await self.redis.set(self.key, kept, ex=KEPT_SECONDS)
            except RedisError as error:
                log.warning("cannot store the answer of an Idempotency-Key: %s", error)

    async def forget(self) -> None:
        """Frees the key after a failed call, so that the call can be tried again."""
        if self.given is not None:
            await self.redis.delete(self.key)
            await self.bound.release(self.key)


class IdempotentRoute(APIRoute):
    """A route whose mutating calls run once per key. Errors are not stored, since a failed call changed nothing."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        call = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method in ("GET", "HEAD"):
                return await call(request)
            idempotency = Idempotency(request.app.state.redis, request)
            kept = await idempotency.begin(await request.body())
            if kept is not None:
                return Response(base64.b64decode(kept["body"]), kept["status"], kept["headers"])
            try:
                response = await call(request)
            except BaseException:
                await idempotency.forget()
                raise
            names = [name for name in ("content-type", "location") if name in response.headers]
            headers = {name: response.headers[name] for name in names}
            body = base64.b64encode(bytes(response.body)).decode()
            await idempotency.keep({"status": response.status_code, "headers": headers, "body": body})
            return response

        return handle
