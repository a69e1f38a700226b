"""Takes images from the pool for many concurrent requests in one call."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from flawsmith.core.live.image_pool import ImagePool, TakeResult


@dataclass(frozen=True)
class _Request:
    count: int
    answer: "asyncio.Future[TakeResult]"


class TakeCoalescer:
    """Coalesces takes: requests that arrive while a take of their version and type is on its way share the next one.

    They are served in order. The cost per request falls with load.
    """

    def __init__(self, pool: ImagePool) -> None:
        self.pool = pool
        self._waiting: dict[tuple[str, str | None], list[_Request]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # asyncio holds tasks weakly

    async def take(self, version: str, classes: Sequence[str], defect_type: str | None, count: int) -> TakeResult:
        """See `ImagePool.take`."""
        key = version, defect_type
        if (waiting := self._waiting.get(key)) is not None:
            request = _Request(count, asyncio.get_running_loop().create_future())
            waiting.append(request)
            return await request.answer
        self._waiting[key] = []
        try:
            return await self.pool.take(version, classes, defect_type, count)
        finally:
            self._serve_waiting(version, classes, defect_type)

    def _serve_waiting(self, version: str, classes: Sequence[str], defect_type: str | None) -> None:
        """Starts one take for the requests that arrived meanwhile."""
        requests = self._waiting.pop((version, defect_type))
        if requests:
            self._waiting[version, defect_type] = []
            self._start(self._take_for(requests, version, classes, defect_type))

    async def _take_for(
        self, requests: list[_Request], version: str, classes: Sequence[str], defect_type: str | None
    ) -> None:
        try:
            total = sum(request.count for request in requests)
            taken = await self.pool.take(version, classes, defect_type, total)
        except Exception as error:
            for request in requests:
                if not request.answer.done():
                    request.answer.set_exception(error)
        else:
            self._distribute(requests, version, taken)
        finally:
            self._serve_waiting(version, classes, defect_type)

    def _distribute(self, requests: list[_Request], version: str, taken: TakeResult) -> None:
        """Gives each request its images; those of a request that was cancelled go back to the pool."""
        start, wake_sampler = 0, taken.wake_sampler
        for request in requests:
            images = taken.images[start : start + request.count]
            start += request.count
            if not request.answer.done():
                request.answer.set_result(TakeResult(images, wake_sampler, taken.run))
                wake_sampler = False  # one request wakes the sampler
            elif ready := [(address, png) for address, png in images if png is not None]:
                self._start(self.pool.give_back(version, ready, taken.run))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
