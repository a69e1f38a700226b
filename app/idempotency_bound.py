"""A bound on the idempotency keys that Redis remembers, of one caller and of all."""

import math

from redis.asyncio import Redis

from flawsmith.app.problems import Problem
from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script

MAX_KEYS = 100_000  # an answer takes one to ten kilobytes; Redis must not fill up


class IdempotencyBound:
    """Counts the keys of one caller and of all. One caller may have half of them."""

    def __init__(self, redis: Redis, caller: str, lifetime_seconds: float) -> None:
        self.redis, self.lifetime_seconds = redis, lifetime_seconds
        self._keys = [keys.idempotency_keys(caller), keys.idempotency_keys()]

    async def admit(self, key: str) -> None:
        """Counts a key, once. Raises Problem 429 when there are too many."""
        admit = self.redis.register_script(script("idempotency_admit"))
        lifetime = int(self.lifetime_seconds * 1000)
        crossed, milliseconds = await admit(self._keys, [key, lifetime, max(1, MAX_KEYS // 2), MAX_KEYS])
        if crossed:
            seconds = math.ceil(milliseconds / 1000)
            whose = "of yours" if crossed == 1 else "of all callers"
            detail = (
                f"too many Idempotency-Keys {whose} are remembered; repeat an earlier one, call without one, or try"
                f" again in {seconds} s"
            )
            raise Problem(429, "busy", detail, {"Retry-After": str(seconds)})

    async def release(self, key: str) -> None:
        """The key is remembered no longer."""
        async with self.redis.pipeline() as pipe:
            for each in self._keys:
                pipe.zrem(each, key)
            await pipe.execute()
