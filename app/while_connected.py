"""Work in a thread that ends when the client leaves."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from flawsmith.core.store.images import Abandoned

CONNECTION_CHECK_SECONDS = 0.25

Result = TypeVar("Result")


async def while_connected(request: Request, work: Callable[[Callable[[], bool]], Result]) -> Result:
    """Does the work, which gets a function that says whether the client has left, and then raises `Abandoned`.

    Raises:
        ClientDisconnect: the client left before.
    """
    left = threading.Event()
    done = asyncio.ensure_future(run_in_threadpool(work, left.is_set))
    try:
        while not done.done():
            await asyncio.wait({done}, timeout=CONNECTION_CHECK_SECONDS)
            if await request.is_disconnected():
                left.set()
        return await done
    except Abandoned:
        raise ClientDisconnect from None
    finally:
        left.set()
