"""Runs a call with either client, so that one test covers both."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flawsmith import AsyncClient, Client

Run = Callable[..., Any]
"""``run(url, "method", *arguments, client={...}, **more)``: the result, or the list of what it iterates over."""


def sync_run(url: str, method: str, *arguments: Any, client: dict[str, Any] | None = None, **more: Any) -> Any:
    with Client(url, **(client or {})) as running:
        result = getattr(running, method)(*arguments, **more)
        return list(result) if isinstance(result, Iterator) else result


def async_run(url: str, method: str, *arguments: Any, client: dict[str, Any] | None = None, **more: Any) -> Any:
    async def call() -> Any:
        async with AsyncClient(url, **(client or {})) as running:
            result = getattr(running, method)(*arguments, **more)
            return [each async for each in result] if isinstance(result, AsyncIterator) else await result

    with ThreadPoolExecutor(1) as thread:  # a loop may run in this one: Playwright leaves its own
        return thread.submit(asyncio.run, call()).result()


both = pytest.mark.parametrize("run", [sync_run, async_run], ids=["Client", "AsyncClient"])
