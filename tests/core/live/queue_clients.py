"""Both sides of the sampling queue, for tests: callers that block, and announced workers."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live import keys
from flawsmith.core.live.sampling_queue import Consumer, Producer, Subscriber
from flawsmith.core.live.task_queues import SAMPLE, announce
from flawsmith.core.settings import Settings

WOKEN = f"{keys.SAMPLER}woken"


class BlockingProducer:
    """A `Producer` without an event loop: one call at a time."""

    def __init__(self, socket: Path, limit: int) -> None:
        self.socket, self.limit = socket, limit

    def enqueue(
        self, subscriber: Subscriber, seeds: range, version: str = "m@1", seconds: float = 30, again: bool = False
    ) -> bool:
        return bool(self._run(lambda each: each.enqueue(subscriber, version, addresses(seeds), seconds, 1, again)))

    def cancel(self, subscriber: Subscriber, seeds: range) -> None:
        self._run(lambda each: each.cancel(subscriber, "m@1", addresses(seeds)))

    def _run(self, what: Callable[[Producer], Coroutine[Any, Any, Any]]) -> Any:
        async def connected() -> Any:
            async with redis.asyncio.Redis(unix_socket_path=str(self.socket)) as client:
                return await what(Producer(client, Settings(max_waiting_images=self.limit)))

        return asyncio.run(connected())


def addresses(seeds: range) -> list[Address]:
    return [Address("pits", seed) for seed in seeds]


def subscriber(caller: str, request: str = "r") -> Subscriber:
    return Subscriber(caller, f"api-of-{caller}", request)


def announced(client: redis.Redis, name: str) -> Consumer:
    announce(client, SAMPLE, name, "")
    return Consumer(client, name)


def next_seeds(consumer: Consumer) -> list[int]:
    batch = consumer.next_batch()
    return [address.seed for address in batch.addresses] if batch else []


def deliver_next(consumer: Consumer) -> list[str]:
    batch = consumer.next_batch()
    assert batch is not None
    return consumer.deliver(batch, {each: str(each).encode() for each in batch.addresses}, 100.0)


def inbox(client: redis.Redis, caller: str) -> list[bytes]:
    return client.lrange(keys.inbox(f"api-of-{caller}"), 0, -1)


def lose_message(client: redis.Redis) -> None:
    """Lets the message on its way count as lost, as it does some seconds later."""
    client.hset(WOKEN, "lost_at", int(time.time() * 1000) - 1)
