"""Rate limit: how many images a second one caller may request on average."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from flawsmith.app.problems import Problem
from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script
from flawsmith.core.settings import Settings

BURST_MILLISECONDS = 1000  # of debt up to which a call passes
ANY_DEBT = 2**40  # milliseconds


class CallerRateLimit:
    """Limits the images a second that one caller requests on average, across all API processes.

    This is the generic cell rate algorithm (ITU-T I.371): each call adds its images to the caller's debt, the debt
    falls at the permitted rate, and a call passes while the debt is at most one second's worth.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.rate = settings.caller_images_per_second
        self._charge, self._refund = (redis.register_script(script(name)) for name in ("charge_rate", "refund_rate"))

    @asynccontextmanager
    async def charged(self, caller: str, count: int) -> AsyncIterator[None]:
        """Charges ``count`` images to a caller, and takes the charge back if the block refuses them by a Problem.

        Raises:
            Problem: 429 over the rate.
        """
        if not self.rate:
            yield
            return
        await self.charge(caller, count)
        try:
            yield
        except Problem:
            with suppress(RedisError):  # the Problem matters more to the caller
                await self._refund([keys.caller_rate(caller)], [self._cost(count)])
            raise

    async def charge(self, caller: str, count: int) -> None:
        """Charges ``count`` images to a caller. Raises Problem 429, and charges nothing, over the rate."""
        if not self.rate:
            return
        milliseconds = int(await self._charge([keys.caller_rate(caller)], [self._cost(count), BURST_MILLISECONDS]))
        if milliseconds:
            seconds = math.ceil(milliseconds / 1000)
            detail = f"you may request {self.rate:g} images a second on average; try again in {seconds} s"
            raise Problem(429, "busy", detail, {"Retry-After": str(seconds)})

    async def charge_later(self, caller: str, count: int) -> None:
        """Charges ``count`` images more to a call that passed. It refuses nothing; the caller's next call may wait."""
        if self.rate:
            await self._charge([keys.caller_rate(caller)], [self._cost(count), ANY_DEBT])

    def _cost(self, count: int) -> float:
        """In milliseconds at the permitted rate."""
        return count / self.rate * 1000
