"""From addresses to encoded images: what is ready, and the wait for what is not."""

import asyncio
import hashlib
import logging
import math
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect

from flawsmith.app.problems import Problem, unavailable
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live import keys
from flawsmith.core.live.connections import connect_async
from flawsmith.core.live.image_cache import cached
from flawsmith.core.live.image_pool import ImagePool
from flawsmith.core.live.pipeline_batcher import PipelineBatcher
from flawsmith.core.live.sampling_queue import FAILURE_MARK, Overloaded, Producer, Subscriber
from flawsmith.core.live.take_coalescer import TakeCoalescer
from flawsmith.core.live.task_queues import SAMPLE
from flawsmith.core.logs import request_id
from flawsmith.core.services import Services

log = logging.getLogger(__name__)

SERVED = Counter("flawsmith_images_served_total", "Images handed to callers", ["model", "stock"])
REFUSED = Counter("flawsmith_generate_refused_total", "Requests refused for want of time or room", ["model"])

SHED_SECONDS = 0.2  # for so long whoever was refused is refused again without a look into Redis
GONE_SECONDS = 0.5  # how soon a client that went away is noticed
SILENCE_SECONDS = 2.0  # after which what a request waits for is lined up again, in case that Redis lost it
WORKERS_SECONDS = 1.0  # for so long it is remembered how many workers live
INBOX_BLOCK_SECONDS = 2.0
INBOX_PAGE = 64


@dataclass
class Images:
    """What a caller gets: encoded images (PNG), and how many of them were ready: ``hit``, ``partial`` or ``miss``."""

    addresses: list[Address]
    pngs: list[bytes]
    stock: str


@dataclass
class _Wait:
    """One request's wait."""

    subscriber: Subscriber
    version: str
    missing: set[Address]
    deadline: float
    images: dict[Address, bytes] = field(default_factory=dict)
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    heard: float = field(default_factory=time.monotonic)


@dataclass
class _Refusal:
    until: float
    deadline_seconds: float
    count: int
    busy: Overloaded


class Sampling:
    """This process's part in making images: its inbox, and the requests that wait on it."""

    def __init__(self, services: Services, redis: Redis) -> None:
        self.services, self.redis = services, redis
        self.stock, self.producer = ImagePool(redis), Producer(redis, services.settings)
        self._take_coalescer, self._pipeline = TakeCoalescer(self.stock), PipelineBatcher(redis)
        self.name = secrets.token_hex(8)
        self._waits: dict[str, _Wait] = {}
        self._shed: dict[tuple[str, str], _Refusal] = {}  # by version and caller
        self._sending: set[asyncio.Task[None]] = set()  # asyncio holds tasks weakly
        self._workers, self._counted = 0, -math.inf
        self._counting: asyncio.Task[None] | None = None
        self._tasks = [asyncio.create_task(self._read_inbox()), asyncio.create_task(self._look_after())]

    async def close(self) -> None:
        """Stops listening."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def new_images(
        self, request: Request, version: ModelVersion, defect_type: str | None, count: int, deadline_seconds: float
    ) -> Images:
        """Images that were given to nobody before: from stock, and what that lacks made now.

        Raises:
            Problem, ClientDisconnect: see `by_address`.
        """
        end = time.monotonic() + deadline_seconds
        self._refuse_again(request, version, deadline_seconds, count)
        taken = await self._take_coalescer.take(version, defect_type, count)
        if taken.wake_sampler:
            self._wake_sampler()
        addresses = [address for address, _ in taken.images]
        ready = {address: png for address, png in taken.images if png is not None}
        try:
            return await self._completed(request, version, addresses, ready, end, by_address=False)
        except BaseException:
            await asyncio.shield(self.stock.give_back(version.ref, list(ready.items()), taken.run))
            raise

    async def by_address(
        self, request: Request, version: ModelVersion, addresses: Sequence[Address], deadline_seconds: float
    ) -> Images:
        """The images at these addresses, without blocking the event loop.

        Raises:
            Problem: 429 where they could not be ready in time or there is no room for them, 503 where no worker lives,
                504 where they were not ready in time, 500 where the worker could not make them.
            ClientDisconnect: nobody waits for them any longer; what was not made yet is not made for this request.
        """
        end = time.monotonic() + deadline_seconds
        found = await cached(self._pipeline, version.ref, addresses)
        ready = {address: png for address, png in zip(addresses, found, strict=True) if png}
        self._refuse_again(request, version, deadline_seconds, len(addresses) - len(ready))
        return await self._completed(request, version, addresses, ready, end, by_address=True)

    async def _completed(
        self,
        request: Request,
        version: ModelVersion,
        addresses: Sequence[Address],
        ready: dict[Address, bytes],
        end: float,
        *,
        by_address: bool,
    ) -> Images:
        missing = [each for each in addresses if each not in ready]
        if not missing:
            self._shed.pop((version.ref, caller_of(request)), None)
        made = await self._made(request, version, missing, end, by_address) if missing else {}
        stock = "miss" if not ready else "partial" if missing else "hit"
        SERVED.labels(version.model, stock).inc(len(addresses))
        return Images(list(addresses), [ready.get(each) or made[each] for each in addresses], stock)

    async def _made(
        self, request: Request, version: ModelVersion, addresses: Sequence[Address], end: float, by_address: bool
    ) -> dict[Address, bytes]:
        workers = await self._live_workers()
        if not workers:
            raise unavailable("no sampling worker is live; one may be starting")
        number = f"{secrets.token_hex(4)}-{request_id.get()}"
        subscriber = Subscriber(caller_of(request), self.name, number, by_address)
        wait = _Wait(subscriber, version.ref, set(addresses), end)
        self._waits[number] = wait
        patience = max(0.001, end - time.monotonic())
        try:
            if await self.producer.submit(subscriber, version.ref, addresses, patience, workers):
                self._wake_sampler()
            self._shed.pop((version.ref, subscriber.caller), None)
            await _until_done(request, wait, patience)
        except Overloaded as busy:
            refusal = _Refusal(time.monotonic() + SHED_SECONDS, patience, len(addresses), busy)
            self._shed[version.ref, subscriber.caller] = refusal
            wait.missing.clear()
            raise _too_busy(version, busy, patience) from None
        finally:
            del self._waits[number]
            if wait.missing:
                await asyncio.shield(self.producer.cancel(subscriber, version.ref, list(wait.missing)))
        return wait.images

    def _refuse_again(self, request: Request, version: ModelVersion, deadline_seconds: float, count: int) -> None:
        """Raises Problem 429 where the caller was refused no more, with no shorter a deadline, a moment ago.

        When the moment is over, one request of the caller's finds out how things stand; the others hear of it.
        """
        refusal = self._shed.get((version.ref, caller_of(request))) if count else None
        if refusal and deadline_seconds <= refusal.deadline_seconds + 1 and count >= refusal.count:
            if time.monotonic() < refusal.until:
                raise _too_busy(version, refusal.busy, deadline_seconds)
            refusal.until = time.monotonic() + SHED_SECONDS

    async def _live_workers(self) -> int:
        if time.monotonic() - self._counted > WORKERS_SECONDS:
            if self._counting is None or self._counting.done():
                self._counting = asyncio.create_task(self._count_workers())
            await asyncio.shield(self._counting)
        return self._workers

    async def _count_workers(self) -> None:
        self._workers = len(await run_in_threadpool(self.services.queues.live_workers, SAMPLE))
        self._counted = time.monotonic()

    def _wake_sampler(self) -> None:
        """Sends for a worker, beside whatever else goes on; where that fails, the next look sends again."""
        task = asyncio.create_task(run_in_threadpool(self.services.queues.wake_sampler, request_id.get()))
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("cannot send for a sampling worker: %s", error)

    async def _read_inbox(self) -> None:
        """Hands what workers deliver to the requests that wait for it."""
        inbox, redis = keys.inbox(self.name), connect_async(self.services.settings)
        try:
            while True:
                try:
                    found = await redis.blmpop(INBOX_BLOCK_SECONDS, 1, inbox, direction="LEFT", count=INBOX_PAGE)
                    for item in cast(list[bytes], found[1]) if found else []:
                        self._receive(*item.split(b"\n", 2))
                except RedisError as error:
                    log.warning("cannot read the inbox: %s", error)
                    await asyncio.sleep(0.5)
                except Exception:  # one item that cannot be understood must not keep all others from their callers
                    log.exception("cannot understand the inbox")
        finally:
            await redis.aclose()

    def _receive(self, number: bytes, address: bytes, payload: bytes) -> None:
        wait = self._waits.get(number.decode())
        if wait is None or wait.done.done():
            return
        wait.heard = time.monotonic()
        if payload.startswith(FAILURE_MARK):
            wait.done.set_exception(Problem(500, "sampling-failed", payload.removeprefix(FAILURE_MARK).decode()))
            return
        at = Address.parse(address.decode())
        wait.images[at] = payload
        wait.missing.discard(at)
        if not wait.missing:
            wait.done.set_result(None)

    async def _look_after(self) -> None:
        """Lines up again what was not heard of: a Redis that was restarted or wiped may have lost it."""
        while True:
            await asyncio.sleep(SILENCE_SECONDS / 2)
            now = time.monotonic()
            self._shed = {who: refusal for who, refusal in self._shed.items() if refusal.until > now}
            for wait in list(self._waits.values()):
                if now - wait.heard > SILENCE_SECONDS and wait.missing and now < wait.deadline:
                    wait.heard = now
                    try:
                        await self._line_up_again(wait, wait.deadline - now)
                    except Exception as error:  # the next look may get through
                        log.warning("cannot producer up again what was not heard of: %s", error)

    async def _line_up_again(self, wait: _Wait, seconds: float) -> None:
        if wait.subscriber.request not in self._waits:
            return
        if await self.producer.submit(wait.subscriber, wait.version, list(wait.missing), seconds, 1, again=True):
            self._wake_sampler()


def caller_of(request: Request) -> str:
    """Whose turn a request takes: that of its key, else of its client's address; a name that holds no separator."""
    caller: str | None = request.scope.get("flawsmith_caller")
    return caller or _hashed(request.client.host if request.client else "")


@lru_cache(maxsize=10_000)
def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


async def _until_done(request: Request, wait: _Wait, deadline_seconds: float) -> None:
    end = time.monotonic() + deadline_seconds
    while (left := end - time.monotonic()) > 0:
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(wait.done), min(left, GONE_SECONDS))
        if await request.is_disconnected():
            raise ClientDisconnect
    raise Problem(504, "deadline-passed", f"the images were not ready within {deadline_seconds:g} s")


def _too_busy(version: ModelVersion, busy: Overloaded, deadline_seconds: float) -> Problem:
    REFUSED.labels(version.model).inc()
    late = math.ceil(max(1.0, busy.ahead + busy.own - deadline_seconds))
    if busy.own > deadline_seconds:
        detail = f"these images alone take about {busy.own:.1f} s; ask for fewer of them, or allow more than that"
    elif busy.ahead + busy.own > deadline_seconds / 2:
        detail = f"about {busy.ahead:.1f} s of work are ahead, and you can wait {deadline_seconds:.1f} s"
        detail += f"; try again in {late} s"
    else:
        late = math.ceil(max(1.0, busy.ahead / 2))
        detail = f"too many images wait already, of yours or in all; wait for some of them, or try again in {late} s"
    return Problem(429, "busy", detail, {"Retry-After": str(late)})
