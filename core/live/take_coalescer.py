"""TakeCoalescer from stock for many requests at once."""

import asyncio
from dataclasses import dataclass
from typing import Any

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.image_pool import ImagePool, TakeResult


@dataclass(frozen=True)
class _Ask:
    count: int
    answer: "asyncio.Future[TakeResult]"


class TakeCoalescer:
    """Takes images for requests; those that come while one is on its way to Redis share the next one, in order.

    So the more ask, the less each of them costs.
    """

    def __init__(self, stock: ImagePool) -> None:
        self.stock = stock
        self._waiting: dict[tuple[str, str | None], list[_Ask]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # asyncio holds tasks weakly

    async def take(self, version: ModelVersion, defect_type: str | None, count: int) -> TakeResult:
        """See `ImagePool.take`."""
        key = version.ref, defect_type
        if (waiting := self._waiting.get(key)) is not None:
            ask = _Ask(count, asyncio.get_running_loop().create_future())
            waiting.append(ask)
            return await ask.answer
        self._waiting[key] = []
        try:
            return await self.stock.take(version.ref, version.classes, defect_type, count)
        finally:
            self._go_on(version, defect_type)

    def _go_on(self, version: ModelVersion, defect_type: str | None) -> None:
        """Takes for those who came meanwhile."""
        asks = self._waiting.pop((version.ref, defect_type))
        if asks:
            self._waiting[version.ref, defect_type] = []
            self._keep(asyncio.create_task(self._take_for(asks, version, defect_type)))

    async def _take_for(self, asks: list[_Ask], version: ModelVersion, defect_type: str | None) -> None:
        try:
            total = sum(ask.count for ask in asks)
            taken = await self.stock.take(version.ref, version.classes, defect_type, total)
        except Exception as error:
            for ask in asks:
                if not ask.answer.done():
                    ask.answer.set_exception(error)
        else:
            self._share(asks, version, taken)
        finally:
            self._go_on(version, defect_type)

    def _share(self, asks: list[_Ask], version: ModelVersion, taken: TakeResult) -> None:
        start, wake_sampler = 0, taken.wake_sampler
        for ask in asks:
            images = taken.images[start : start + ask.count]
            start += ask.count
            if not ask.answer.done():
                ask.answer.set_result(TakeResult(images, wake_sampler, taken.run))
                wake_sampler = False  # one of them sends
            elif ready := [(address, png) for address, png in images if png is not None]:
                self._keep(asyncio.create_task(self.stock.give_back(version.ref, ready, taken.run)))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
