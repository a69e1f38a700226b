"""Images on their way from a sampling worker to the request that waits for them.

The worker appends each image to a list as soon as it is encoded; the API takes them off in order. While somebody waits,
a key says so: the worker looks before each micro-batch, so a client that went away costs no further work.
"""

import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import cast

import redis.asyncio
from redis import Redis

from core import keys

GRACE_SECONDS = 10  # how long an answer outlives its deadline before Redis drops it
_BLOCK_SECONDS = 2.0  # longest single wait on the socket, well under its timeout


class SamplingFailed(Exception):
    """The worker could not make the images; the message says why."""


class DeadlinePassed(Exception):
    """The images were not all there in time."""


class Reply:
    """The waiting side, in the API. One for each request; `close` it whatever happens."""

    def __init__(self, client: redis.asyncio.Redis, deadline_seconds: float) -> None:
        self.redis = client
        self.request = secrets.token_hex(12)
        self.deadline = time.monotonic() + deadline_seconds
        self.deadline_seconds = deadline_seconds

    async def open(self) -> None:
        """Says that somebody waits; before the task is sent."""
        await self.redis.set(keys.wanted(self.request), 1, px=max(1, int(self.deadline_seconds * 1000)))

    async def images(self, count: int) -> AsyncIterator[bytes]:
        """The encoded images, in order, as they come.

        Raises:
            DeadlinePassed: they were not all there in time.
            SamplingFailed: the worker said that it cannot make them.
        """
        for _ in range(count):
            item = await self._next()
            if item[:1] == b"{":
                raise SamplingFailed(json.loads(item)["error"])
            yield item

    async def close(self) -> None:
        """Says that nobody waits any longer."""
        await self.redis.delete(keys.wanted(self.request), keys.reply(self.request))

    async def _next(self) -> bytes:
        while (left := self.deadline - time.monotonic()) > 0:
            item = await self.redis.blpop(keys.reply(self.request), timeout=min(left, _BLOCK_SECONDS))
            if item:
                return cast(bytes, item[1])
        raise DeadlinePassed(f"the images were not ready within {self.deadline_seconds:g} s")


def is_wanted(client: Redis, request: str) -> bool:
    """Whether somebody waits still; the worker asks before each micro-batch."""
    return bool(client.exists(keys.wanted(request)))


def send_images(client: Redis, request: str, images: Sequence[bytes]) -> None:
    """Hands encoded images (PNG) to the waiting request."""
    _send(client, request, list(images))


def send_failure(client: Redis, request: str, reason: str) -> None:
    """Tells the waiting request that its images cannot be made."""
    _send(client, request, [json.dumps({"error": reason}).encode()])


def _send(client: Redis, request: str, items: list[bytes]) -> None:
    pipe = client.pipeline()
    pipe.rpush(keys.reply(request), *items)
    pipe.expire(keys.reply(request), GRACE_SECONDS)
    pipe.execute()
