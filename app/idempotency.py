"""`Idempotency-Key`: the same key with the same body answers the first call's result again.

After draft-ietf-httpapi-idempotency-key-header; answers are kept for a day, in Redis.
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

from flawsmith.app.problems import Problem
from flawsmith.core.live import keys

log = logging.getLogger(__name__)

KEPT_SECONDS = 24 * 3600
IN_FLIGHT_SECONDS = 600  # a call that died with its process frees its key after this
LONGEST_KEY = 255


class Idempotency:
    """One call's key: `begin` it with what the call asks for, then `keep` its answer, or `forget` it."""

    def __init__(self, redis: Redis, request: Request) -> None:
        self.redis = redis
        self.given = request.headers.get("idempotency-key")
        if self.given is not None and not 0 < len(self.given) <= LONGEST_KEY:
            raise Problem(400, "malformed-body", f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
        self.key = self.asked = ""
        if self.given is not None:
            caller = request.headers.get("authorization", "")
            scope = f"{caller}\n{request.method}\n{request.url.path}\n{self.given}"
            self.key = keys.idempotency(hashlib.sha256(scope.encode()).hexdigest())

    async def begin(self, asked: bytes) -> Any | None:
        """The first call's kept answer, or None where this is the first; without a key, always None.

        Raises:
            Problem: 409 while the first call is in flight, 422 where it asked for something else.
        """
        if self.given is None:
            return None
        self.asked = hashlib.sha256(asked).hexdigest()
        mark = json.dumps({"asked": self.asked, "answer": None})
        if await self.redis.set(self.key, mark, nx=True, ex=IN_FLIGHT_SECONDS):
            return None
        first = json.loads(await self.redis.get(self.key) or mark)
        if first["asked"] != self.asked:
            raise Problem(422, "key-reused", "this Idempotency-Key came with another body before; take a new key")
        if first["answer"] is None:
            raise Problem(
                409, "in-flight", "the first call with this Idempotency-Key is not done", {"Retry-After": "1"}
            )
        return first["answer"]

    async def keep(self, answer: Any) -> None:
        """Keeps an answer (JSON) for the calls that repeat this one.

        Where Redis went away meanwhile the caller has the answer all the same: what it asked for is done.
        """
        if self.given is not None:
            kept = json.dumps({"asked": self.asked, "answer": answer})
            try:
                await self.redis.set(self.key, kept, ex=KEPT_SECONDS)
            except RedisError as error:
                log.warning("cannot keep the answer of an Idempotency-Key: %s", error)

    async def forget(self) -> None:
        """Frees the key: the call came to nothing, and may be tried again."""
        if self.given is not None:
            await self.redis.delete(self.key)


class IdempotentRoute(APIRoute):
    """A route whose mutating calls are answered once a key. Refusals are not kept: they changed nothing."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        call = super().get_route_handler()

        async def answer(request: Request) -> Response:
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

        return answer
