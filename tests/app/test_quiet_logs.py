"""Loops that meet an outage of Redis again and again log it once, and its end."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ConnectionError

from flawsmith.app import events as events_module
from flawsmith.app.events import Events
from flawsmith.app.sampling import inbox as inbox_module
from flawsmith.app.sampling.inbox import Inbox
from flawsmith.core.live import reaper as reaper_module
from flawsmith.core.live.connections import connect_async
from flawsmith.core.live.reaper import start_reaper
from flawsmith.core.settings import Settings

REFUSALS = 5  # that a loop must meet before its log lines are counted


@asynccontextmanager
async def refusing_server() -> AsyncIterator[tuple[Settings, Callable[[], Awaitable[None]]]]:
    """Settings with a Redis that closes every connection, and a wait until it has closed `REFUSALS` of them."""
    refused = asyncio.Semaphore(0)

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        refused.release()

    async def wait() -> None:
        async with asyncio.timeout(20):
            for _ in range(REFUSALS):
                await refused.acquire()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Settings(redis_url=f"redis://127.0.0.1:{port}"), wait


async def end(task: asyncio.Task[None]) -> None:
    """Cancels until it has an effect: in Python 3.11 `asyncio.wait_for` can lose a cancellation (cpython#86296)."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


def lines(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if text in record.getMessage()]


def test_the_inbox_logs_an_outage_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "RETRY_SECONDS", 0.01)

    async def read() -> None:
        async with refusing_server() as (settings, wait):
            reading = asyncio.create_task(Inbox(settings).read())
            await wait()
            await wait()  # a read makes two connections: one is retried
            await end(reading)

    asyncio.run(read())
    assert len(lines(caplog, "cannot read the inbox")) == 1


def test_events_log_an_outage_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = asyncio.sleep
    monkeypatch.setattr(events_module.asyncio, "sleep", lambda _: sleep(0.01))

    async def read() -> None:
        async with refusing_server() as (settings, wait):
            events = Events(connect_async(settings))
            events._positions["job-1"] = (0, 0)
            events._reader = asyncio.create_task(events._read())
            await wait()
            await wait()
            await end(events._reader)
            await events.redis.aclose()

    asyncio.run(read())
    assert len(lines(caplog, "cannot read events")) == 1


def test_the_reaper_logs_an_outage_once_and_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper_module, "LOOK_SECONDS", 0.01)
    stop, looks = threading.Event(), 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks <= REFUSALS:
            raise ConnectionError("refused")
        if looks > REFUSALS + 4:  # the round that ended the outage has been logged
            stop.set()

    with caplog.at_level(logging.INFO):
        start_reaper([look, look], stop)
        assert stop.wait(20)
    assert len(lines(caplog, "cannot look for lost work")) == 1
    assert len(lines(caplog, "can look for lost work again")) == 1
