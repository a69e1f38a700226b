"""Ends background tasks."""

import asyncio

AGAIN_SECONDS = 0.1


async def cancel_task(task: "asyncio.Task[None]") -> None:
    """Cancels a task and waits until it has ended.

    redis-py loses a cancellation that comes while it connects, so one is not enough: the task would go on for ever,
    and its process with it.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_SECONDS)
