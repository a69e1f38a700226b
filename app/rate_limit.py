"""Rates and quotas: how many calls and images one caller may ask for, across all API processes."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction

from fastapi import Request
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flawsmith.app.caller import caller_of
from flawsmith.app.problems import Problem
from flawsmith.core.domain.api_keys import NO_LIMITS, CallerLimits
from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script
from flawsmith.core.settings import Settings

BURST_MILLISECONDS = 1000  # of debt up to which a call passes
ANY_DEBT = ANY_QUOTA = 2**40  # milliseconds, images: nothing is refused
DAY_SECONDS = 86_400
LONGEST_WINDOW = DAY_SECONDS  # seconds, of a rate as headers tell it

Standings = dict[str, tuple[str, str]]
"""By the name of a policy: the policy, and what of it is left, as the headers of draft-ietf-httpapi-ratelimit-headers
have them."""


@dataclass(frozen=True)
class Account:
    """Whom a call is charged to.

    Attributes:
        caller: as `caller_of` names it.
        limits: of its key; what they leave out is as the settings say.
        standings: what the answer says of them.
    """

    caller: str
    limits: CallerLimits = NO_LIMITS
    standings: Standings = field(default_factory=dict)


def account_of(request: Request) -> Account:
    """Whom this request is charged to."""
    scope = request.scope
    limits = scope.get("flawsmith_limits") or NO_LIMITS
    return Account(caller_of(request), limits, scope.get("flawsmith_standings", {}))


class Meter:
    """Counts what callers ask for of one unit, by a rate and by a quota of each day of UTC.

    The rate is the generic cell rate algorithm (ITU-T I.371): each call adds its cost to the caller's debt, the debt
    falls at the permitted rate, and a call passes while the debt is at most one second's worth.
    """

    def __init__(self, redis: Redis, unit: str) -> None:
        self.unit = unit
        self._charge, self._refund = (
            redis.register_script(script(name)) for name in ("charge_caller", "refund_caller")
        )

    async def charge(
        self, account: Account, count: int, rate: float, per_day: int = 0, *, forced: bool = False
    ) -> None:
        """Charges ``count`` units. ``forced``: though they are over the limits.

        Raises:
            Problem: 429 over the rate or the quota; nothing is charged.
        """
        burst, quota = (ANY_DEBT, per_day and ANY_QUOTA) if forced else (BURST_MILLISECONDS, per_day)
        arguments = [_cost(count, rate), burst, count, quota, DAY_SECONDS * 1000]
        refused, wait, debt, spent, left = map(int, await self._charge(self._keys(account), arguments))
        if rate:
            self._tell_rate(account, rate, debt)
        if per_day:
            self._tell_quota(account, per_day, max(per_day - spent, 0), left)
        if not refused:
            return
        seconds = math.ceil(wait / 1000)
        if refused == 1:
            detail = f"you may request {rate:g} {self.unit} a second on average; try again in {seconds} s"
        else:
            detail = f"you may request {per_day} {self.unit} a day, and {max(per_day - spent, 0)} are left; ask for no "
            detail += f"more than these, or try again in {seconds} s, when the day of UTC ends"
        raise Problem(429, "busy", detail, {"Retry-After": str(seconds)})

    async def refund(self, account: Account, count: int, rate: float) -> None:
        """Takes a charge back."""
        await self._refund(self._keys(account), [_cost(count, rate), count])

    def _keys(self, account: Account) -> list[str]:
        return [keys.caller_rate(account.caller, self.unit), keys.caller_quota(account.caller, self.unit)]

    def _tell_rate(self, account: Account, rate: float, debt: int) -> None:
        """``debt``: in ms."""
        of_window = Fraction(rate).limit_denominator(LONGEST_WINDOW)
        quota, window = max(of_window.numerator, 1), of_window.denominator
        left = max(0, math.floor(quota * (1 - debt / (1000 * window))))
        name = f"{self.unit}-rate"
        account.standings[name] = f'"{name}";q={quota};w={window}', f'"{name}";r={left};t={math.ceil(debt / 1000)}'

    def _tell_quota(self, account: Account, quota: int, remaining: int, left: int) -> None:
        """``left``: ms until the day ends."""
        name = f"{self.unit}-per-day"
        policy = f'"{name}";q={quota};w={DAY_SECONDS}'
        account.standings[name] = policy, f'"{name}";r={remaining};t={math.ceil(left / 1000)}'


class CallerRateLimit:
    """Limits the images that one caller requests: a second on average, and a day."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._settings = settings
        self._meter = Meter(redis, "images")

    def applies_to(self, account: Account) -> bool:
        """Whether there is a limit for this caller."""
        return any(self._limits(account))

    @asynccontextmanager
    async def charged(self, account: Account, count: int) -> AsyncIterator[None]:
        """Charges ``count`` images to a caller, and takes the charge back if the block refuses them by a Problem.

        Raises:
            Problem: 429 over the rate or the quota.
        """
        await self.charge(account, count)
        try:
            yield
        except Problem:
            if self.applies_to(account):
                with suppress(RedisError):  # the Problem matters more to the caller
                    await self._meter.refund(account, count, self._limits(account)[0])
            raise

    async def charge(self, account: Account, count: int) -> None:
        """Charges ``count`` images to a caller. Raises Problem 429, and charges nothing, over the rate or the quota."""
        if self.applies_to(account):
            await self._meter.charge(account, count, *self._limits(account))

    async def charge_later(self, account: Account, count: int) -> None:
        """Charges ``count`` images more to a call that passed. It refuses nothing; the caller's next call may wait."""
        if self.applies_to(account):
            await self._meter.charge(account, count, *self._limits(account), forced=True)

    def _limits(self, account: Account) -> tuple[float, int]:
        own, settings = account.limits, self._settings
        rate = settings.caller_images_per_second if own.images_per_second is None else own.images_per_second
        return rate, settings.caller_images_per_day if own.images_per_day is None else own.images_per_day


def _cost(count: int, rate: float) -> float:
    """In milliseconds at a rate; 0 without one."""
    return count / rate * 1000 if rate else 0
