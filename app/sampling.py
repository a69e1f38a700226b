"""From addresses to encoded images: one task for a sampling worker, and the wait for its answer."""

import asyncio
from collections.abc import Sequence

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from prometheus_client import Counter
from redis.asyncio import Redis
from starlette.requests import ClientDisconnect

from app.problems import unavailable
from core.addresses import Address
from core.logs import request_id
from core.queues import SAMPLE, SampleRequest
from core.records import ModelVersion
from core.replies import Reply
from core.services import Services

IMAGES = Counter("flawsmith_images_served_total", "Images handed to callers", ["model"])
DISCONNECT_SECONDS = 0.5  # how soon a client that went away is noticed


async def make_images(
    request: Request, version: ModelVersion, addresses: Sequence[Address], deadline_seconds: float
) -> list[bytes]:
    """The PNGs of these addresses, in order, without blocking the event loop.

    Raises:
        Problem: 503 where no sampling worker lives.
        DeadlinePassed: they were not ready in time.
        SamplingFailed: the worker could not make them.
        ClientDisconnect: nobody waits for them any longer; the worker stops at its next micro-batch.
    """
    services: Services = request.app.state.services
    redis: Redis = request.app.state.redis
    if not await run_in_threadpool(services.queues.live_workers, SAMPLE):
        raise unavailable("no sampling worker is live; one may be starting")
    reply = Reply(redis, deadline_seconds)
    ask = SampleRequest(
        request=reply.request,
        model=version.model,
        version=version.version,
        seeds=[each.seed for each in addresses],
        defect_types=[each.defect_type for each in addresses],
    )
    watch = asyncio.create_task(_gone(request))
    wait = asyncio.create_task(_collect(reply, services, ask, request_id.get()))
    try:
        await asyncio.wait({watch, wait}, return_when=asyncio.FIRST_COMPLETED)
        if not wait.done():
            raise ClientDisconnect
        images = wait.result()
    finally:
        watch.cancel()
        wait.cancel()
        await asyncio.shield(reply.close())
    IMAGES.labels(version.model).inc(len(images))
    return images


async def _collect(reply: Reply, services: Services, ask: SampleRequest, identity: str) -> list[bytes]:
    await reply.open()
    await run_in_threadpool(services.queues.send_sampling, ask, identity)
    return [image async for image in reply.images(len(ask.seeds))]


async def _gone(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(DISCONNECT_SECONDS)
