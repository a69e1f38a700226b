"""Image pools: each image given to one caller, as many as the demand asks for, within bounds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis
import redis.asyncio

from flawsmith.core.domain.addresses import FIRST_OWN_SEED, SEEDS
from flawsmith.core.live import keys
from flawsmith.core.live.image_pool import LEAST, ImagePool, PoolReplenisher, RefillRequest, TakeResult
from flawsmith.core.live.sampling_queue import Consumer
from flawsmith.core.live.task_queues import SAMPLE, announce
from flawsmith.core.settings import Settings

pytestmark = pytest.mark.usefixtures("lasting_heartbeats")

CLASSES = ["dents", "pits", "scratches"]
PITS = "m@1\npits"
STATE = f"{keys.POOLS}state:{PITS}"
T = TypeVar("T")


@pytest.fixture
def replenisher(empty_redis: redis.Redis) -> PoolReplenisher:
    announce(empty_redis, SAMPLE, "sample-1", "")
    return PoolReplenisher(empty_redis, Settings())


@pytest.fixture
def with_pool(empty_redis: redis.Redis, redis_server: Path) -> Callable[[Callable[[ImagePool], Awaitable[T]]], T]:
    """Runs something with an API process's side of the pools."""

    def run(what: Callable[[ImagePool], Awaitable[T]]) -> T:
        async def connected() -> T:
            async with redis.asyncio.Redis(unix_socket_path=str(redis_server / "redis" / "redis.sock")) as client:
                return await what(ImagePool(client))

        return asyncio.run(connected())

    return run


Run = Callable[[Callable[[ImagePool], Awaitable[TakeResult]]], TakeResult]


def take(
    with_pool: Run, count: int, defect_type: str | None = "pits", version: str = "m@1", ready: bool = True
) -> TakeResult:
    return with_pool(lambda pool: pool.take(version, CLASSES, defect_type, count, ready=ready))


def pngs(request: RefillRequest) -> list[bytes]:
    return [str(each).encode() * 50 for each in request.addresses]


def refill(replenisher: PoolReplenisher) -> int:
    """Refills until no pool needs images; returns the number of micro-batches."""
    batches = 0
    while request := replenisher.next_refill():
        replenisher.refill(request, pngs(request))
        batches += 1
        assert batches < 10_000
    return batches


def test_images_that_are_not_ready_come_as_consecutive_new_addresses(with_pool: Run) -> None:
    images = take(with_pool, 3).images + take(with_pool, 2).images
    assert all(png is None for _, png in images)
    seeds = [address.seed for address, _ in images]
    assert seeds == list(range(seeds[0], seeds[0] + 5))
    assert FIRST_OWN_SEED <= seeds[0] < SEEDS


def test_types_take_turns_over_calls(with_pool: Run) -> None:
    addresses = [address for count in (1, 1, 4) for address, _ in take(with_pool, count, None).images]
    assert [address.defect_type for address in addresses] == CLASSES * 2
    assert len(set(addresses)) == 6


def test_a_pool_is_refilled_after_its_first_take_and_gives_each_image_once(
    with_pool: Run, replenisher: PoolReplenisher
) -> None:
    assert refill(replenisher) == 0
    first = take(with_pool, 1)
    assert first.wake_sampler
    assert refill(replenisher) == LEAST // 16
    given = [image for _ in range(LEAST + 3) for image in take(with_pool, 1).images]
    assert [png is not None for _, png in given] == [True] * LEAST + [False] * 3
    assert len({address for address, _ in [*first.images, *given]}) == LEAST + 4
    assert all(png == str(address).encode() * 50 for address, png in given if png)


def test_the_sampler_is_woken_once_when_half_is_left(
    with_pool: Run, replenisher: PoolReplenisher, empty_redis: redis.Redis
) -> None:
    take(with_pool, 1)
    refill(replenisher)
    consumer = Consumer(empty_redis, "sample-1")
    consumer.begin_task()
    consumer.end_task()
    woken = [take(with_pool, 1).wake_sampler for _ in range(LEAST)]
    assert woken.index(True) == LEAST // 2 - 1
    assert woken.count(True) == 1


def test_a_pool_is_good_for_one_run_of_the_server(
    with_pool: Run, replenisher: PoolReplenisher, empty_redis: redis.Redis
) -> None:
    """A server that restarted may have lost which images it gave out last."""
    before = take(with_pool, 1).images
    refill(replenisher)
    before += take(with_pool, 5).images
    for counted in (STATE, keys.NEXT_SEED + PITS):
        empty_redis.hset(counted, "run", "another")
    empty_redis.hset(keys.NEXT_SEED + PITS, "next", before[2][0].seed)  # it lost its last second
    time.sleep(0.01)
    after = take(with_pool, 5).images
    assert all(png is None for _, png in after)
    assert min(address.seed for address, _ in after) > max(address.seed for address, _ in before)


def test_after_a_wipe_no_seed_comes_again(with_pool: Run, empty_redis: redis.Redis) -> None:
    before = take(with_pool, 500).images
    empty_redis.flushall()
    time.sleep(0.01)
    after = take(with_pool, 500).images
    assert min(address.seed for address, _ in after) > max(address.seed for address, _ in before)


def test_images_that_were_given_back_are_taken_next(with_pool: Run, replenisher: PoolReplenisher) -> None:
    take(with_pool, 1)
    refill(replenisher)
    taken = take(with_pool, 3)
    images = [(address, png) for address, png in taken.images if png]
    with_pool(lambda pool: pool.give_back("m@1", images, taken.run))  # type: ignore[arg-type, return-value]
    assert take(with_pool, 3).images == images


def test_a_repeated_call_refills_a_pool_once(with_pool: Run, replenisher: PoolReplenisher, redis_server: Path) -> None:
    class Repeating(redis.Redis):
        """Sends each command twice, as a client does whose answer was cut off."""

        def execute_command(self, *args: Any, **options: Any) -> Any:
            super().execute_command(*args, **options)
            return super().execute_command(*args, **options)

    take(with_pool, 1)
    request = replenisher.next_refill()
    assert request is not None
    with Repeating(unix_socket_path=str(redis_server / "redis" / "redis.sock")) as client:
        PoolReplenisher(client, Settings()).refill(request, pngs(request))
    assert replenisher.image_counts() == {"m@1": 16}


def test_a_refill_for_an_earlier_run_of_the_server_is_dropped(with_pool: Run, replenisher: PoolReplenisher) -> None:
    take(with_pool, 1)
    request = replenisher.next_refill()
    assert request is not None
    replenisher.refill(RefillRequest(request.version, request.addresses, b"the run before"), pngs(request))
    assert replenisher.image_counts() == {"m@1": 0}


def test_a_pool_that_may_hold_few_images_is_refilled_with_few(with_pool: Run, empty_redis: redis.Redis) -> None:
    replenisher = PoolReplenisher(empty_redis, Settings(stock_bytes_per_model=6000, stock_bytes=6000))
    take(with_pool, 1)
    refill(replenisher)
    take(with_pool, 100)
    refill(replenisher)
    assert 1 <= replenisher.image_counts()["m@1"] < 16


def test_a_pool_follows_its_demand_within_its_bytes(with_pool: Run, empty_redis: redis.Redis) -> None:
    """The demand is a hundred images a second; an image has some 1,250 bytes."""
    bound = 200_000
    replenisher = PoolReplenisher(empty_redis, Settings(stock_bytes_per_model=bound, stock_bytes=bound))
    take(with_pool, 1)
    refill(replenisher)
    for _ in range(30):
        empty_redis.hincrby(STATE, "asked", 1000)
        empty_redis.hset(STATE, "at", int(time.time() * 1000) - 10_000)
        replenisher.check()
    refill(replenisher)
    ready = replenisher.image_counts()["m@1"]
    ready_bytes = sum(len(png) for _, png in take(with_pool, ready).images if png)
    assert ready > LEAST
    assert 0.75 * bound < ready_bytes <= 1.05 * bound


def test_a_pool_that_is_not_asked_for_images_is_dropped(
    with_pool: Run, replenisher: PoolReplenisher, empty_redis: redis.Redis
) -> None:
    take(with_pool, 1)
    refill(replenisher)
    empty_redis.zadd(f"{keys.POOLS}names", {PITS: (time.time() - 3600) * 1000})
    replenisher.check()
    assert replenisher.image_counts() == {}
    assert all(png is None for _, png in take(with_pool, 3).images)


def test_the_pools_of_a_deleted_version_are_dropped_and_not_refilled(
    with_pool: Run, replenisher: PoolReplenisher
) -> None:
    take(with_pool, 1)
    refill(replenisher)
    take(with_pool, LEAST)
    request = replenisher.next_refill()
    assert request is not None
    replenisher.drop("m@1")
    replenisher.refill(request, [b"late"] * len(request.addresses))
    assert replenisher.image_counts() == {}
    assert refill(replenisher) == 0


def test_addresses_alone_leave_the_pool_as_it_is(with_pool: Run, replenisher: PoolReplenisher) -> None:
    take(with_pool, 1)
    refill(replenisher)
    assert [png for _, png in take(with_pool, 3, ready=False).images] == [None] * 3
    assert replenisher.image_counts() == {"m@1": LEAST}
