"""A sampling task whose generator cannot be sampled: what callers and pools notice of it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
import redis.asyncio

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live import keys
from flawsmith.core.live.image_pool import ImagePool, PoolReplenisher
from flawsmith.core.live.sampling_queue import FAILURE_MARK, Producer, Subscriber, failing_workers, waiting_images
from flawsmith.core.live.task_queues import SAMPLE, announce
from flawsmith.core.settings import Settings
from flawsmith.core.store.registry import UnknownModel
from flawsmith.worker import sampling
from flawsmith.worker.sampling import Sampler

VERSION = "m@1"


@dataclass
class FailingEngine:
    error: Exception
    passes: list[int] = field(default_factory=list)

    def sample(self, version: str, addresses: list[Address]) -> None:
        self.passes.append(len(addresses))
        raise self.error


@dataclass
class Site:
    """A worker whose passes fail, the queue and the pools."""

    redis: redis.Redis
    socket: Path
    settings: Settings
    sampler: Sampler
    woken: list[str]

    def fail_with(self, error: Exception) -> FailingEngine:
        engine = FailingEngine(error)
        self.sampler.engine = engine  # type: ignore[assignment]
        return engine

    def enqueue(self, count: int) -> None:
        async def run() -> None:
            async with redis.asyncio.Redis(unix_socket_path=str(self.socket)) as client:
                addresses = [Address("pits", seed) for seed in range(count)]
                subscriber = Subscriber("caller", "api", "1")
                await Producer(client, self.settings).enqueue(subscriber, VERSION, addresses, 30, 1)

        asyncio.run(run())

    def fill_pool(self) -> None:
        """Asks for an image, so that there is a pool, and puts some into it."""

        async def ask() -> None:
            async with redis.asyncio.Redis(unix_socket_path=str(self.socket)) as client:
                await ImagePool(client).take(VERSION, ["pits"], "pits", 1)

        asyncio.run(ask())
        replenisher = PoolReplenisher(self.redis, self.settings)
        refill = replenisher.next_refill()
        assert refill is not None
        replenisher.refill(refill, [b"png"] * len(refill.addresses))

    @property
    def pooled(self) -> int:
        return sum(PoolReplenisher(self.redis, self.settings).image_counts().values())

    @property
    def delivered(self) -> list[bytes]:
        return [item.split(b"\n", 2)[2] for item in self.redis.lrange(keys.inbox("api"), 0, -1)]


@pytest.fixture
def site(empty_redis: redis.Redis, redis_server: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    settings, woken = Settings(data_dir=redis_server, device="cpu", threads=1), list[str]()
    queues = SimpleNamespace(wake_sampler=woken.append)
    services = SimpleNamespace(settings=settings, redis=empty_redis, registry=None, queues=queues)
    monkeypatch.setattr(sampling, "services", lambda: services)
    monkeypatch.setattr(sampling, "threads", lambda: 1)
    monkeypatch.setattr(sampling, "EXTRA_IN_FLIGHT", 0)  # one pass after the other
    sampler = Sampler()
    announce(empty_redis, SAMPLE, sampler.consumer.worker, "")
    return Site(empty_redis, redis_server / "redis" / "redis.sock", settings, sampler, woken)


def test_it_gives_its_batch_to_another_worker_and_leaves_the_pool_alone(site: Site) -> None:
    site.fill_pool()
    pooled = site.pooled
    announce(site.redis, SAMPLE, "sample-2", "")
    engine = site.fail_with(MemoryError("no room"))
    site.enqueue(5)
    site.sampler.run_task()
    assert engine.passes == [16]  # once: five for callers, the rest for the pool
    assert site.delivered == []
    assert (waiting_images(site.redis), site.pooled) == (5, pooled)
    assert failing_workers(site.redis, {site.sampler.consumer.worker}) == [(site.sampler.consumer.worker, VERSION)]


def test_alone_it_tells_callers_why_at_once_and_stops_refilling(site: Site) -> None:
    site.fill_pool()
    pooled = site.pooled
    engine = site.fail_with(MemoryError("no room"))
    for _ in range(2):
        site.enqueue(5)
        site.sampler.run_task()
    assert len(site.delivered) == 10
    assert all(each.startswith(FAILURE_MARK) and b"its log" in each for each in site.delivered)
    assert len(engine.passes) == 2
    assert site.pooled == pooled


def test_a_deleted_version_loses_its_pool_and_its_callers_hear_it(site: Site) -> None:
    site.fill_pool()
    announce(site.redis, SAMPLE, "sample-2", "")
    site.fail_with(UnknownModel("there is no version 1 of m"))
    site.enqueue(1)
    site.sampler.run_task()
    assert site.delivered == [FAILURE_MARK + b"there is no version 1 of m"]
    assert site.pooled == 0
