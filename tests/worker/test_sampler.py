"""A sampling task whose generator cannot be sampled: what callers and pools notice of it."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import redis
import redis.asyncio
from numpy.typing import NDArray

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.quality_floor import sampling_name
from flawsmith.core.live import keys
from flawsmith.core.live.image_pool import ImagePool, PoolReplenisher
from flawsmith.core.live.sampling_queue import (
    BELOW_FLOOR_MARK,
    FAILURE_MARK,
    GONE_MARK,
    UNUSABLE_MARK,
    Producer,
    Subscriber,
    failing_workers,
    waiting_images,
)
from flawsmith.core.live.task_queues import SAMPLE, announce
from flawsmith.core.settings import Settings
from flawsmith.core.store.images import encode_pixels
from flawsmith.core.store.registry import UnknownModel
from flawsmith.worker import sampling
from flawsmith.worker.sampling import Sampler
from flawsmith.worker.version_sampler import UnusableVersion

pytestmark = pytest.mark.usefixtures("lasting_heartbeats")

VERSION = "m@1"


@dataclass
class FailingEngine:
    error: Exception
    passes: list[int] = field(default_factory=list)

    def sample(self, version: str, addresses: list[Address]) -> None:
        self.passes.append(len(addresses))
        raise self.error


@dataclass
class ScoringEngine:
    """An engine whose images have the scores of the test, in turn."""

    given: Iterator[float]
    passes: int = 0

    def sample(self, version: str, addresses: list[Address]) -> NDArray[np.uint8]:
        assert version == VERSION
        self.passes += 1
        return np.zeros((len(addresses), 8, 8, 1), np.uint8)

    def encoder(self, version: str) -> Callable[[Address, NDArray[np.uint8]], bytes]:
        assert version == VERSION
        return lambda address, pixels: encode_pixels(pixels, {})

    def scores(self, version: str, addresses: list[Address], pixels: NDArray[np.uint8]) -> list[float]:
        assert version == VERSION
        return [next(self.given) for _ in addresses]


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

    def enqueue(self, count: int, version: str = VERSION) -> None:
        async def run() -> None:
            async with redis.asyncio.Redis(unix_socket_path=str(self.socket)) as client:
                addresses = [Address("pits", seed) for seed in range(count)]
                subscriber = Subscriber("caller", "api", "1")
                await Producer(client, self.settings).enqueue(subscriber, version, addresses, 30, 1)

        asyncio.run(run())

    def fill_pool(self, version: str = VERSION) -> None:
        """Asks for an image, so that there is a pool, and puts some into it."""

        async def ask() -> None:
            async with redis.asyncio.Redis(unix_socket_path=str(self.socket)) as client:
                await ImagePool(client).take(version, ["pits"], "pits", 1)

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
    services = SimpleNamespace(settings=settings, image_redis=empty_redis, registry=None, queues=queues)
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


@pytest.mark.parametrize(
    ("error", "mark", "reason"),
    [
        (MemoryError("no room"), FAILURE_MARK, b"its log"),
        (UnusableVersion("the files of m@1 make no images"), UNUSABLE_MARK, b"the files of m@1 make no images"),
    ],
)
def test_alone_it_tells_callers_why_at_once_and_stops_refilling(
    site: Site, error: Exception, mark: bytes, reason: bytes
) -> None:
    site.fill_pool()
    pooled = site.pooled
    engine = site.fail_with(error)
    for _ in range(2):
        site.enqueue(5)
        site.sampler.run_task()
    assert len(site.delivered) == 10
    assert all(each.startswith(mark) and reason in each for each in site.delivered)
    assert len(engine.passes) == 2
    assert (waiting_images(site.redis), site.pooled) == (0, pooled)


@pytest.mark.parametrize("floor", [None, 0.25])
def test_a_deleted_version_loses_its_pools_and_its_callers_hear_it(site: Site, floor: float | None) -> None:
    site.fill_pool()
    site.fill_pool(sampling_name(VERSION, 0.25))
    announce(site.redis, SAMPLE, "sample-2", "")
    site.fail_with(UnknownModel("there is no version 1 of m"))
    site.enqueue(1, sampling_name(VERSION, floor))
    site.sampler.run_task()
    assert site.delivered == [GONE_MARK + b"there is no version 1 of m"]
    assert site.pooled == 0


def test_another_worker_may_know_a_version_that_this_one_does_not(site: Site) -> None:
    announce(site.redis, SAMPLE, "sample-2", "")
    site.fail_with(UnusableVersion("a later release made it"))
    site.enqueue(3)
    site.sampler.run_task()
    assert site.delivered == []
    assert waiting_images(site.redis) == 3


def test_below_the_floor_callers_get_scores_and_the_pool_nothing(site: Site) -> None:
    floored = sampling_name(VERSION, 0.25)
    site.fill_pool(floored)
    pooled = site.pooled
    site.sampler.engine = ScoringEngine(cycle([0.2, 0.3]))  # type: ignore[assignment]
    site.enqueue(4, floored)
    site.sampler.run_task()
    scored = [each for each in site.delivered if each.startswith(BELOW_FLOOR_MARK)]
    assert scored == [BELOW_FLOOR_MARK + b"0.2"] * 2
    assert len(site.delivered) == 4
    assert site.pooled > pooled


def test_a_pool_that_nothing_is_good_enough_for_rests(site: Site) -> None:
    floored = sampling_name(VERSION, 0.25)
    site.fill_pool(floored)
    pooled = site.pooled
    engine = ScoringEngine(repeat(0.2))
    site.sampler.engine = engine  # type: ignore[assignment]
    for _ in range(3):
        site.sampler.run_task()
    assert (engine.passes, site.pooled) == (1, pooled)


def test_a_type_without_a_score_always_passes(site: Site) -> None:
    site.sampler.engine = ScoringEngine(repeat(float("nan")))  # type: ignore[assignment]
    site.enqueue(3, sampling_name(VERSION, 0.25))
    site.sampler.run_task()
    assert [each[:4] for each in site.delivered] == [b"\x89PNG"] * 3
