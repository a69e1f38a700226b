"""The sampling workers as an API process sees them: how many are live, and how to wake one."""

import asyncio
import logging
import math
import time

from fastapi.concurrency import run_in_threadpool

from flawsmith.core.live.task_queues import SAMPLE, Queues
from flawsmith.core.logs import request_id

log = logging.getLogger(__name__)

COUNTED_SECONDS = 1.0  # a count of live workers is used for so long


class SamplingWorkers:
    """Counts live sampling workers, at most once in `COUNTED_SECONDS`, and wakes one."""

    def __init__(self, queues: Queues) -> None:
        self.queues = queues
        self._live, self._counted_at = 0, -math.inf
        self._counting: asyncio.Task[None] | None = None
        self._waking: set[asyncio.Task[None]] = set()  # asyncio holds tasks weakly

    async def live(self) -> int:
        """How many sampling workers are live."""
        if time.monotonic() - self._counted_at > COUNTED_SECONDS:
            if self._counting is None or self._counting.done():
                self._counting = asyncio.create_task(self._count())
            await asyncio.shield(self._counting)
        return self._live

    def wake(self) -> None:
        """Sends the message that starts a sampling task, in the background. If that fails, the reaper sends another."""
        task = asyncio.create_task(run_in_threadpool(self.queues.wake_sampler, request_id.get()))
        self._waking.add(task)
        task.add_done_callback(self._woken)

    async def _count(self) -> None:
        self._live = len(await run_in_threadpool(self.queues.live_workers, SAMPLE))
        self._counted_at = time.monotonic()

    def _woken(self, task: asyncio.Task[None]) -> None:
        self._waking.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("cannot wake a sampling worker: %s", error)
