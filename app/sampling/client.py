"""The sampling client: from an image request to encoded images, ready ones or ones that a worker makes now."""

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fastapi import Request
from redis.asyncio import Redis
from starlette.requests import ClientDisconnect

from flawsmith.app.background_tasks import cancel_task
from flawsmith.app.caller import caller_of
from flawsmith.app.image_request import ImageRequest
from flawsmith.app.problems import Problem, unavailable
from flawsmith.app.rate_limit import CallerRateLimit, account_of
from flawsmith.app.sampling.deadlines import Deadlines, Overdue
from flawsmith.app.sampling.image_filter import ImageFilter
from flawsmith.app.sampling.images import Availability, Images
from flawsmith.app.sampling.inbox import Inbox, PendingRequest
from flawsmith.app.sampling.outcomes import count_served, count_unserved
from flawsmith.app.sampling.photograph_comparison import PhotographComparison
from flawsmith.app.sampling.refusal_cache import RefusalCache, busy_problem
from flawsmith.app.sampling.resubmission import SILENCE_SECONDS, Resubmitter
from flawsmith.app.sampling.workers import SamplingWorkers
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.image_labels import unpack
from flawsmith.core.live.image_cache import read_cached
from flawsmith.core.live.image_pool import ImagePool
from flawsmith.core.live.pipeline_batcher import PipelineBatcher
from flawsmith.core.live.sampling_queue import Overloaded, Producer, Subscriber
from flawsmith.core.live.take_coalescer import TakeCoalescer
from flawsmith.core.logs import request_id
from flawsmith.core.services import Services

log = logging.getLogger(__name__)

DISCONNECT_SECONDS = 0.5  # how soon a client that went away is noticed
SHORTEST_PATIENCE = 0.001  # seconds
UNDOING_SECONDS = 1.0  # that a caller who gets no images waits at most for what is undone
LATE_SECONDS = UNDOING_SECONDS + 0.5  # after the deadline, when a call ends whatever it waits for


class SamplingClient:
    """Gives requests their images. One instance in each API process.

    ``image_redis`` has pools, queue and inboxes; a caller's rate is in ``redis``, which does not forget it.
    """

    def __init__(self, services: Services, redis: Redis, image_redis: Redis) -> None:
        self._caller_rate = CallerRateLimit(redis, services.settings)
        self.pool = ImagePool(image_redis)
        self._take_coalescer, self._pipeline = TakeCoalescer(self.pool), PipelineBatcher(image_redis)
        self._producer = Producer(image_redis, services.settings)
        self._workers = SamplingWorkers(services.queues)
        self._inbox = Inbox(services.settings)
        self._resubmitter = Resubmitter(self._inbox, self._producer, self._workers)
        self._refusals = RefusalCache()
        self._filter = ImageFilter(self._unchecked, self._redrawn, PhotographComparison(services.registry))
        self._undoing: set[asyncio.Task[None]] = set()  # asyncio holds tasks weakly
        self._deadlines = Deadlines()
        work = (self._inbox.read(), self._maintain(), self._deadlines.watch())
        self._tasks = [asyncio.create_task(each) for each in work]

    async def close(self) -> None:
        """Stops reading the inbox."""
        for task in self._tasks:
            await cancel_task(task)

    async def charged_images(self, request: Request, wanted: ImageRequest) -> Images:
        """The images, charged to the caller's rate unless they are refused. Raises as `images`, and 429 over the rate.

        Every call that gives out images comes through here, also one that repeats an earlier one: its images may have
        to be made again.
        """
        account = account_of(request)
        try:
            if not self._caller_rate.applies_to(account):
                images = await self.images(request, wanted)
            else:
                async with self._caller_rate.charged(account, wanted.count):
                    images = await self.images(request, wanted)
        except BaseException as error:
            count_unserved(error)
            raise
        count_served(wanted, images)
        return images

    async def images(self, request: Request, wanted: ImageRequest) -> Images:
        """The images that were asked for, without blocking the event loop.

        Raises:
            Problem: 429 when they could not be ready in time or there is no room for them, 503 when no worker is live,
                504 when they were not ready in time, 500 when the worker could not make them, 409 when the version's
                files make none, 404 when it was deleted meanwhile; those of `ImageFilter`.
            ClientDisconnect: the client went away; what was not made yet is not made for this request.
        """
        if wanted.withdrawn or wanted.is_measured or wanted.floor is not None or wanted.is_searched or wanted.labels:
            return await self._filter.images(request, wanted)
        return await self._unchecked(request, wanted)

    async def _unchecked(self, request: Request, wanted: ImageRequest) -> Images:
        """The images, whatever they show. Raises as `images`; 503 too where Redis is silent until the deadline."""
        try:
            with self._deadlines.within(wanted.deadline_seconds + LATE_SECONDS):
                if not wanted.with_pixels:
                    return Images(wanted.version, await self._addresses(wanted), [], "miss")
                if wanted.addresses is None:
                    pooled = not (wanted.attributes or wanted.labels)
                    return await (self._new_images if pooled else self._asked_images)(request, wanted)
                return await self._images_at(request, wanted, wanted.addresses)
        except Overdue:
            raise unavailable("Redis did not answer before the deadline; try again shortly") from None

    async def _redrawn(self, request: Request, wanted: ImageRequest) -> Images:
        """Images in place of refused ones. They are charged as well, also where the call is refused in the end."""
        await self._caller_rate.charge_later(account_of(request), wanted.count)
        return await self._unchecked(request, wanted)

    async def _addresses(self, wanted: ImageRequest) -> Sequence[Address]:
        """Addresses alone, new ones unless they were given."""
        if wanted.addresses is not None:
            return wanted.addresses
        classes = wanted.version.classes
        taken = await self.pool.take(wanted.counted, classes, wanted.defect_type, wanted.count, ready=False)
        addresses = [address for address, _ in taken.images]
        return [replace(each, attributes=wanted.attributes) for each in addresses] if wanted.attributes else addresses

    async def _new_images(self, request: Request, wanted: ImageRequest) -> Images:
        """Images that no caller was given before: out of the pool, and those that it lacks made now."""
        deadline = time.monotonic() + wanted.deadline_seconds
        self._repeat_refusal(request, wanted, wanted.count)
        taken = await self._take_coalescer.take(
            wanted.sampled, wanted.version.classes, wanted.defect_type, wanted.count
        )
        if taken.wake_sampler:
            self._workers.wake()
        addresses = [address for address, _ in taken.images]
        ready = {address: png for address, png in taken.images if png is not None}
        try:
            return await self._complete(request, wanted, addresses, ready, deadline, by_address=False)
        except BaseException:
            await self._undo(self.pool.give_back(wanted.sampled, list(ready.items()), taken.run))
            raise

    async def _asked_images(self, request: Request, wanted: ImageRequest) -> Images:
        """New images with attributes or labels, none of which is in the pool: made now."""
        deadline = time.monotonic() + wanted.deadline_seconds
        self._repeat_refusal(request, wanted, wanted.count)
        addresses = await self._addresses(wanted)
        return await self._complete(request, wanted, addresses, {}, deadline, by_address=False)

    async def _images_at(self, request: Request, wanted: ImageRequest, addresses: Sequence[Address]) -> Images:
        """The images at these addresses: out of the cache, and the others made now."""
        deadline = time.monotonic() + wanted.deadline_seconds
        found = await read_cached(self._pipeline, wanted.sampled, addresses)
        ready = {address: png for address, png in zip(addresses, found, strict=True) if png}
        self._repeat_refusal(request, wanted, len(addresses) - len(ready))
        return await self._complete(request, wanted, addresses, ready, deadline, by_address=True)

    async def _complete(
        self,
        request: Request,
        wanted: ImageRequest,
        addresses: Sequence[Address],
        ready: dict[Address, bytes],
        deadline: float,
        *,
        by_address: bool,
    ) -> Images:
        missing = [each for each in addresses if each not in ready]
        if not missing:
            self._refusals.remove(wanted.sampled, caller_of(request))
            return _unpacked(wanted, Images(wanted.version, addresses, [ready[each] for each in addresses], "hit"))
        made = await self._make(request, wanted, missing, deadline, by_address)
        availability: Availability = "partial" if ready else "miss"
        pngs = [ready.get(each) or made.images.get(each, b"") for each in addresses]
        images = Images(
            wanted.version, addresses, pngs, availability, below_floor=made.below_floor, not_found=made.not_found
        )
        return _unpacked(wanted, images)

    async def _make(
        self, request: Request, wanted: ImageRequest, addresses: Sequence[Address], deadline: float, by_address: bool
    ) -> PendingRequest:
        """Enqueues addresses and waits for their images; returns what arrived."""
        workers = await self._workers.live()
        if not workers:
            raise unavailable("no sampling worker is live; one may be starting")
        number = f"{secrets.token_hex(4)}-{request_id.get()}"
        subscriber = Subscriber(caller_of(request), self._inbox.name, number, by_address)
        pending = PendingRequest(subscriber, wanted.sampled, set(addresses), deadline)
        self._inbox.pending[number] = pending
        patience = max(SHORTEST_PATIENCE, deadline - time.monotonic())
        try:
            if await self._producer.enqueue(subscriber, wanted.sampled, addresses, patience, workers):
                self._workers.wake()
            self._refusals.remove(wanted.sampled, subscriber.caller)
            await _until_done(request, pending, patience)
        except Overloaded as overloaded:
            self._refusals.add(wanted.sampled, subscriber.caller, len(addresses), patience, overloaded)
            pending.missing.clear()  # nothing is enqueued that had to be cancelled
            raise busy_problem(wanted.version, overloaded, patience) from None
        finally:
            del self._inbox.pending[number]
            if pending.missing:
                await self._undo(self._producer.cancel(subscriber, wanted.sampled, list(pending.missing)))
        return pending

    async def _undo(self, work: Coroutine[Any, Any, None]) -> None:
        """Takes back what a request without an answer began. It goes on though Redis keeps its caller waiting."""
        task = asyncio.create_task(work)
        self._undoing.add(task)
        task.add_done_callback(self._undone)
        await asyncio.wait({task}, timeout=UNDOING_SECONDS)

    def _undone(self, task: asyncio.Task[None]) -> None:
        self._undoing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("cannot take back what a request without an answer began: %s", error)

    def _repeat_refusal(self, request: Request, wanted: ImageRequest, count: int) -> None:
        """Raises Problem 429 when the caller was refused the same a moment ago. ``count``: images to make."""
        if not count or not self._refusals:
            return
        version, seconds = wanted.version, wanted.deadline_seconds
        overloaded = self._refusals.find(wanted.sampled, caller_of(request), count, seconds)
        if overloaded:
            raise busy_problem(version, overloaded, seconds)

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(SILENCE_SECONDS / 2)
            self._refusals.remove_expired()
            await self._resubmitter.resubmit()


def _unpacked(wanted: ImageRequest, images: Images) -> Images:
    """The images, and their labels where these were packed with them."""
    if wanted.labels is None:
        return images
    pairs = [unpack(each) if each else (each, None) for each in images.pngs]
    labels = {address: each for address, (_, each) in zip(images.addresses, pairs, strict=True) if each}
    return images._replace(pngs=[png for png, _ in pairs], labels=labels)


async def _until_done(request: Request, pending: PendingRequest, seconds: float) -> None:
    """Waits for all images of a request, while its client is there."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(pending.done), min(left, DISCONNECT_SECONDS))
        if await request.is_disconnected():
            raise ClientDisconnect
    raise Problem(504, "deadline-passed", f"the images were not ready within {seconds:g} s")
