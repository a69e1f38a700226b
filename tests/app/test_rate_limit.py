"""The rate of images that one caller may request, against a real Redis."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from starlette.requests import ClientDisconnect

from flawsmith.app.problems import Problem
from flawsmith.app.rate_limit import Account, CallerRateLimit
from flawsmith.core.domain.api_keys import CallerLimits
from flawsmith.core.live.connections import connect_async
from flawsmith.core.settings import Settings


def run(settings: Settings, rate: float, scenario: Callable[[CallerRateLimit], Awaitable[None]]) -> None:
    """Runs a scenario with a limit of ``rate`` images a second."""

    async def with_limit() -> None:
        client = connect_async(settings)
        try:
            await scenario(CallerRateLimit(client, settings.model_copy(update={"caller_images_per_second": rate})))
        finally:
            await client.aclose()

    asyncio.run(with_limit())


def test_a_caller_over_its_rate_is_429_and_learns_when_to_come_back(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        await limit.charge(Account("a"), 50)  # five seconds' worth of debt, one of which is allowed
        for _ in range(3):
            with pytest.raises(Problem) as refused:
                await limit.charge(Account("a"), 1)
            assert (refused.value.status, refused.value.kind) == (429, "busy")
            assert refused.value.headers in ({"Retry-After": "4"}, {"Retry-After": "3"})  # a second later
            assert "10 images a second on average" in refused.value.detail

    run(redis_settings, 10, scenario)


def test_a_caller_within_its_rate_and_other_callers_pass(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        for _ in range(10):
            await limit.charge(Account("a"), 1)
        await limit.charge(Account("b"), 500)
        with pytest.raises(Problem):
            await limit.charge(Account("b"), 1)

    run(redis_settings, 10, scenario)


def test_what_is_charged_later_is_refused_to_nobody_and_delays_the_next_call(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        with pytest.raises(Problem):
            async with limit.charged(Account("a"), 10):
                await limit.charge_later(Account("a"), 50)
                await limit.charge_later(Account("a"), 50)
                raise Problem(409, "too-similar", "the call is refused, but images were made for it")
        with pytest.raises(Problem) as refused:
            await limit.charge(Account("a"), 1)
        assert refused.value.headers in ({"Retry-After": "9"}, {"Retry-After": "8"})  # a second later

    run(redis_settings, 10, scenario)


def test_the_debt_falls_with_time(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        begun = time.monotonic()
        await limit.charge(Account("a"), 250)  # 2.5 seconds' worth, one of which is allowed
        with pytest.raises(Problem):
            await limit.charge(Account("a"), 1)
        for _ in range(100):
            with suppress(Problem):
                await limit.charge(Account("a"), 1)
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("the debt never fell")
        assert time.monotonic() - begun >= 1.4

    run(redis_settings, 100, scenario)


def test_two_processes_share_a_callers_debt(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        other_process = connect_async(redis_settings)
        await limit.charge(Account("a"), 50)
        other = CallerRateLimit(other_process, redis_settings.model_copy(update={"caller_images_per_second": 10.0}))
        with pytest.raises(Problem):
            await other.charge(Account("a"), 1)
        await other_process.aclose()

    run(redis_settings, 10, scenario)


def test_without_a_rate_nothing_is_charged(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        for _ in range(100):
            await limit.charge(Account("a"), 1_000_000)

    run(redis_settings, 0, scenario)


def test_what_is_refused_is_not_charged(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        for refusal in (Problem(429, "busy", "full"), Problem(503, "unavailable", "no worker")):
            with pytest.raises(Problem, match=refusal.detail):
                async with limit.charged(Account("a"), 256):
                    raise refusal
        async with limit.charged(Account("a"), 500):  # served
            pass
        with pytest.raises(Problem, match="10 images a second"):
            async with limit.charged(Account("a"), 1):
                pass

    run(redis_settings, 10, scenario)


def test_a_client_that_left_is_charged(redis_settings: Settings) -> None:
    """Its images may have been made; to leave early must not be a way around the rate."""

    async def scenario(limit: CallerRateLimit) -> None:
        with pytest.raises(ClientDisconnect):
            async with limit.charged(Account("a"), 256):
                raise ClientDisconnect
        with pytest.raises(Problem, match="10 images a second"):
            await limit.charge(Account("a"), 1)

    run(redis_settings, 10, scenario)


def test_a_quota_of_a_day_is_refused_whole_and_says_what_is_left(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        account = Account("a", CallerLimits(images_per_day=100))
        await limit.charge(account, 90)
        with pytest.raises(Problem) as refused:
            await limit.charge(account, 11)
        assert (refused.value.status, refused.value.kind) == (429, "busy")
        assert "100 images a day, and 10 are left" in refused.value.detail
        assert 0 < int(refused.value.headers["Retry-After"]) <= 86_400
        policy, left = account.standings["images-per-day"]
        assert policy == '"images-per-day";q=100;w=86400'
        assert left.startswith('"images-per-day";r=10;t=')
        await limit.charge(account, 10)
        with pytest.raises(Problem, match="0 are left"):
            await limit.charge(account, 1)
        await limit.charge(Account("b", account.limits), 100)

    run(redis_settings, 0, scenario)


def test_what_is_refused_is_taken_from_no_quota(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        account = Account("a", CallerLimits(images_per_day=100, images_per_second=1000))
        for _ in range(3):
            with pytest.raises(Problem, match="no worker"):
                async with limit.charged(account, 100):
                    raise Problem(503, "unavailable", "no worker")
        await limit.charge(account, 100)
        await limit.charge_later(account, 5)  # of a call that passed
        with pytest.raises(Problem, match="0 are left"):
            await limit.charge(account, 1)

    run(redis_settings, 0, scenario)


def test_twenty_calls_at_once_share_one_quota(redis_settings: Settings) -> None:
    async def scenario(limit: CallerRateLimit) -> None:
        account = Account("a", CallerLimits(images_per_day=10))
        results = await asyncio.gather(*(limit.charge(account, 1) for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(each, Problem) for each in results) == 10

    run(redis_settings, 0, scenario)
