"""`Idempotency-Key`: a repeated call with the same key and body gets the first call's answer.

It follows draft-ietf-httpapi-idempotency-key-header. Redis keeps the answers for a day. The call that runs holds a
lease of seconds and renews it: where its process dies, a repeated call takes over. What either of them makes has the
identity that the first call reserved, so that it is made once.
"""

import asyncio
import base64
import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flawsmith.app.caller import caller_of
from flawsmith.app.idempotency_bound import IdempotencyBound
from flawsmith.app.problems import Problem
from flawsmith.core.domain.jobs import new_identity
from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script

log = logging.getLogger(__name__)

_BOOL = TypeAdapter(bool)
KEPT_SECONDS = 24 * 3600
LEASE_SECONDS = 6.0  # after which a repeated call takes over from one whose process died
RENEWALS = 4  # in that time: three may fail
MAX_KEY_LENGTH = 255

reserved_identity: ContextVar[str | None] = ContextVar("reserved_identity", default=None)
"""In a call with an Idempotency-Key: the unique part of the id of what the call makes, in repeated calls the same."""


takes_over: ContextVar[bool] = ContextVar("takes_over", default=False)
"""Whether this call takes over from an earlier one with its Idempotency-Key, which may have done a part of the work."""


class Idempotency:
    """The idempotency key of one call: `begin` the call, then `keep` its answer or, if it failed, `forget` the key."""

    def __init__(self, redis: Redis, request: Request) -> None:
        self.redis = redis
        self.given = request.headers.get("idempotency-key")
        if self.given is not None and not 0 < len(self.given) <= MAX_KEY_LENGTH:
            raise Problem(400, "malformed-body", f"an Idempotency-Key must have 1 to {MAX_KEY_LENGTH} characters")
        self.key = self.body_digest = self._token = ""
        self._renewal: asyncio.Task[None] | None = None
        if self.given is not None:
            self._token = secrets.token_hex(8)
            caller = request.headers.get("authorization", "")
            scope = f"{caller}\n{request.method}\n{request.url.path}\n{self.given}"
            self.key = keys.idempotency(hashlib.sha256(scope.encode()).hexdigest())
            self.bound = IdempotencyBound(redis, caller_of(request), KEPT_SECONDS)

    async def begin(self, body: bytes) -> Any | None:
        """Returns the first call's answer, or None if this call has no key, is the first one or takes over from it.

        Raises:
            Problem: 409 while another call is in flight, 422 if it had another body, 429 for too many keys.
        """
        if self.given is None:
            return None
        self.body_digest = hashlib.sha256(body).hexdigest()
        await self.bound.admit(self.key)
        first, is_first, is_ours = await self._claim()
        if first["asked"] == self.body_digest and first["answer"] is None and is_ours:
            reserved_identity.set(first.get("identity"))
            takes_over.set(not is_first)
            self._renewal = asyncio.create_task(self._renew())
            return None
        if is_ours:
            await self._release()
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
            self._stop_renewing()
            kept = json.dumps({"asked": self.body_digest, "answer": answer})
            try:
                await self.redis.set(self.key, kept, ex=KEPT_SECONDS)
                await self._release()
            except RedisError as error:
                log.warning("cannot store the answer of an Idempotency-Key: %s", error)

    async def forget(self) -> None:
        """Frees the key after a failed call, so that the call can be tried again."""
        if self.given is not None:
            await self._release(forget=True)
            await self.bound.release(self.key)

    @property
    def _lease(self) -> str:
        return keys.idempotency_lease(self.key)

    async def _claim(self) -> tuple[dict[str, Any], bool, bool]:
        """What is known of the first call, whether this is it, and whether this call has the lease now."""
        own = json.dumps({"asked": self.body_digest, "answer": None, "identity": new_identity()})
        async with self.redis.pipeline() as pipe:
            pipe.set(self.key, own, nx=True, ex=KEPT_SECONDS)
            pipe.set(self._lease, self._token, nx=True, px=int(LEASE_SECONDS * 1000))
            pipe.get(self.key)
            is_first, is_ours, first = await pipe.execute()
        return json.loads(first or own), bool(is_first), bool(is_ours)

    async def _renew(self) -> None:
        renew, milliseconds = self.redis.register_script(script("idempotency_renew")), int(LEASE_SECONDS * 1000)
        while True:
            await asyncio.sleep(LEASE_SECONDS / RENEWALS)
            try:
                await renew([self._lease], [self._token, milliseconds])
            except RedisError as error:  # the next renewal may succeed
                log.warning("cannot renew the lease on an Idempotency-Key: %s", error)

    def _stop_renewing(self) -> None:
        if self._renewal:
            self._renewal.cancel()

    async def _release(self, forget: bool = False) -> None:
        self._stop_renewing()
        release = self.redis.register_script(script("idempotency_release"))
        await release([self.key, self._lease], [self._token, int(forget)])


def changes_nothing(request: Request) -> bool:
    """Whether the call is a dry run, of which no answer is kept."""
    try:
        return _BOOL.validate_python(request.query_params.get("dry_run", False))
    except ValidationError:
        return False  # the route refuses it


class IdempotentRoute(APIRoute):
    """A route whose mutating calls run once per key. Errors are not stored, since a failed call changed nothing."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        call = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method in ("GET", "HEAD"):
                return await call(request)
            idempotency = Idempotency(request.app.state.redis, request)
            if changes_nothing(request):
                return await call(request)
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
