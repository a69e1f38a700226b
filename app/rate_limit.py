"""Rate limit: how many images a second one caller may request on average."""

import math

from redis.asyncio import Redis

from flawsmith.app.problems import Problem
from flawsmith.core.live import keys
from flawsmith.core.settings import Settings

# KEYS[1]: the caller's theoretical arrival time, in milliseconds. ARGV[1]: milliseconds that this call costs.
# Returns 0, or the milliseconds until the call would be allowed.
_CHARGE = """
local stamp = redis.call('time')
local now = stamp[1] * 1000 + math.floor(stamp[2] / 1000)
local arrival = math.max(tonumber(redis.call('get', KEYS[1]) or now), now)
if arrival - now > 1000 then return arrival - now - 1000 end
local next_arrival = math.floor(arrival + ARGV[1])
if next_arrival > now then
  redis.call('set', KEYS[1], string.format('%.0f', next_arrival), 'px', next_arrival - now)
end
return 0
"""


class CallerRateLimit:
    """Limits the images a second that one caller requests on average, across all API processes.

    This is the generic cell rate algorithm (ITU-T I.371): each call adds its images to the caller's debt, the debt
    falls at the permitted rate, and a call passes while the debt is at most one second's worth.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.rate = settings.caller_images_per_second
        self._charge = redis.register_script(_CHARGE)

    async def charge(self, caller: str, count: int) -> None:
        """Charges ``count`` images to a caller. Raises Problem 429, and charges nothing, over the rate."""
        if not self.rate:
            return
        milliseconds = int(await self._charge([keys.caller_rate(caller)], [count / self.rate * 1000]))
        if milliseconds:
            seconds = math.ceil(milliseconds / 1000)
            detail = f"you may request {self.rate:g} images a second on average; try again in {seconds} s"
            raise Problem(429, "busy", detail, {"Retry-After": str(seconds)})
