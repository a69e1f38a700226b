"""What ends calls that are past their deadline."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flawsmith.app.sampling import deadlines
from flawsmith.app.sampling.deadlines import Deadlines, Overdue


@asynccontextmanager
async def watched() -> AsyncIterator[Deadlines]:
    found = Deadlines()
    watch = asyncio.create_task(found.watch())
    yield found
    watch.cancel()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Runs it, for 10 s at most."""
    asyncio.run(asyncio.wait_for(scenario, 10))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LOOK_SECONDS", 0.01)


def test_an_overdue_call_ends_although_it_loses_a_cancellation() -> None:
    async def scenario() -> None:
        async with watched() as found:
            with pytest.raises(Overdue), found.within(0):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    await asyncio.Event().wait()
            await asyncio.sleep(0.05)  # nobody cancels it any more

    run(scenario())


def test_a_call_in_time_gives_its_result() -> None:
    async def scenario() -> None:
        async with watched() as found:
            with found.within(60):
                await asyncio.sleep(0.05)
            with pytest.raises(ValueError), found.within(0):
                raise ValueError

    run(scenario())


def test_a_cancellation_by_somebody_else_stays_one() -> None:
    async def scenario() -> None:
        async with watched() as found:

            async def call() -> None:
                with found.within(60):
                    await asyncio.Event().wait()

            task = asyncio.create_task(call())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(scenario())
