"""Ready images: taken once each, as many as are asked for, within bounds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import redis
import redis.asyncio

from flawsmith.core.domain.addresses import FIRST_OWN_SEED, SEEDS
from flawsmith.core.live import keys
from flawsmith.core.live.image_pool import LEAST, ImagePool, PoolReplenisher, TakeResult, _once
from flawsmith.core.settings import Settings

CLASSES = ["dents", "pits", "scratches"]
T = TypeVar("T")


@pytest.fixture
def shelves(empty_redis: redis.Redis) -> PoolReplenisher:
    return PoolReplenisher(empty_redis, Settings())


@pytest.fixture
def on_stock(empty_redis: redis.Redis, redis_server: Path) -> Callable[[Callable[[ImagePool], Awaitable[T]]], T]:
    """Runs something with an API's side of the stock."""

    def run(what: Callable[[ImagePool], Awaitable[T]]) -> T:
        async def connected() -> T:
            async with redis.asyncio.Redis(unix_socket_path=str(redis_server / "redis" / "redis.sock")) as client:
                return await what(ImagePool(client))

        return asyncio.run(connected())

    return run


Run = Callable[[Callable[[ImagePool], Awaitable[TakeResult]]], TakeResult]


def take(
    on_stock: Run, count: int, defect_type: str | None = "pits", version: str = "m@1", ready: bool = True
) -> TakeResult:
    return on_stock(lambda stock: stock.take(version, CLASSES, defect_type, count, ready=ready))


def fill(shelves: PoolReplenisher) -> int:
    """Makes what is lacked, until nothing is; how many micro-batches that were."""
    batches = 0
    while lack := shelves.next_batch():
        shelves.put(lack, [str(each).encode() * 50 for each in lack.addresses])
        batches += 1
        assert batches < 10_000
    return batches


def test_what_is_not_in_stock_comes_as_addresses_that_are_counted_up(on_stock: Run) -> None:
    images = take(on_stock, 3).images + take(on_stock, 2).images
    assert all(png is None for _, png in images)
    seeds = [address.seed for address, _ in images]
    assert seeds == list(range(seeds[0], seeds[0] + 5))
    assert FIRST_OWN_SEED <= seeds[0] < SEEDS


def test_types_take_turns_over_calls(on_stock: Run) -> None:
    addresses = [address for count in (1, 1, 4) for address, _ in take(on_stock, count, None).images]
    assert [address.defect_type for address in addresses] == CLASSES * 2
    assert len(set(addresses)) == 6


def test_a_stock_is_filled_once_it_was_asked_of_and_each_image_is_given_once(
    on_stock: Run, shelves: PoolReplenisher
) -> None:
    assert fill(shelves) == 0
    first = take(on_stock, 1)
    assert first.wake_sampler
    assert fill(shelves) == LEAST // 16
    given = [image for _ in range(LEAST + 3) for image in take(on_stock, 1).images]
    assert [png is not None for _, png in given] == [True] * LEAST + [False] * 3
    assert len({address for address, _ in [*first.images, *given]}) == LEAST + 4
    assert all(png == str(address).encode() * 50 for address, png in given if png)


def test_a_shift_is_sent_for_once_when_half_is_left(
    on_stock: Run, shelves: PoolReplenisher, empty_redis: redis.Redis
) -> None:
    take(on_stock, 1)
    fill(shelves)
    empty_redis.delete(keys.SAMPLER_WOKEN)
    asked = [take(on_stock, 1).wake_sampler for _ in range(LEAST)]
    assert asked.index(True) == LEAST // 2 - 1
    assert asked.count(True) == 1


def test_a_stock_is_good_for_one_run_of_the_server(
    on_stock: Run, shelves: PoolReplenisher, empty_redis: redis.Redis
) -> None:
    """A server that restarted may have forgotten which images it gave out last."""
    before = take(on_stock, 1).images
    fill(shelves)
    before += take(on_stock, 5).images
    for key in (keys.STOCK_STATE, keys.NEXT_SEED):
        empty_redis.hset(f"{key}m@1\npits", "run", "another")
    empty_redis.hset(f"{keys.NEXT_SEED}m@1\npits", "next", before[2][0].seed)  # it lost its last second
    time.sleep(0.01)
    after = take(on_stock, 5).images
    assert all(png is None for _, png in after)
    assert min(address.seed for address, _ in after) > max(address.seed for address, _ in before)


def test_after_a_wipe_no_seed_comes_again(on_stock: Run, empty_redis: redis.Redis) -> None:
    before = take(on_stock, 500).images
    empty_redis.flushall()
    time.sleep(0.01)
    after = take(on_stock, 500).images
    assert min(address.seed for address, _ in after) > max(address.seed for address, _ in before)


def test_what_was_given_back_is_taken_next(on_stock: Run, shelves: PoolReplenisher) -> None:
    take(on_stock, 1)
    fill(shelves)
    taken = take(on_stock, 3)
    images = [(address, png) for address, png in taken.images if png]
    on_stock(lambda stock: stock.give_back("m@1", images, taken.run))  # type: ignore[arg-type, return-value]
    assert take(on_stock, 3).images == images


def test_what_is_put_in_stock_by_a_call_that_came_twice_stands_there_once(
    on_stock: Run, shelves: PoolReplenisher
) -> None:
    take(on_stock, 1)
    lack = shelves.next_batch()
    assert lack is not None
    items = [f"{address.seed}:png".encode() for address in lack.addresses]
    call = _once("rpush", "m@1\npits", items, lack.run)
    for _ in range(2):  # as a client does whose answer was cut off
        shelves._put(*call)
    assert shelves.held() == {"m@1": 16}
    shelves._put(*_once("rpush", "m@1\npits", items, b"the run before"))
    assert shelves.held() == {"m@1": 16}


def test_a_stock_that_may_hold_few_is_filled_with_few(on_stock: Run, empty_redis: redis.Redis) -> None:
    shelves = PoolReplenisher(empty_redis, Settings(stock_bytes_per_model=6000, stock_bytes=6000))
    take(on_stock, 1)
    fill(shelves)
    take(on_stock, 100)
    fill(shelves)
    assert 1 <= shelves.held()["m@1"] < 16


def test_a_stock_follows_its_demand_within_its_bytes(on_stock: Run, empty_redis: redis.Redis) -> None:
    """A hundred images a second are asked for; an image has some 1,250 bytes."""
    bound = 200_000
    shelves = PoolReplenisher(empty_redis, Settings(stock_bytes_per_model=bound, stock_bytes=bound))
    state = f"{keys.STOCK_STATE}m@1\npits"
    take(on_stock, 1)
    fill(shelves)
    for _ in range(30):
        empty_redis.hincrby(state, "asked", 1000)
        empty_redis.hset(state, "at", int(time.time() * 1000) - 10_000)
        shelves.look()
    fill(shelves)
    held = shelves.held()["m@1"]
    bytes_held = sum(map(len, empty_redis.lrange(f"{keys.STOCK}m@1\npits", 0, -1)))
    assert held > LEAST
    assert 0.8 * bound < bytes_held <= 1.05 * bound


def test_a_stock_that_nobody_asks_of_is_dropped(
    on_stock: Run, shelves: PoolReplenisher, empty_redis: redis.Redis
) -> None:
    take(on_stock, 1)
    fill(shelves)
    empty_redis.zadd(keys.STOCKS, {"m@1\npits": (time.time() - 3600) * 1000})
    shelves.look()
    assert shelves.held() == {}
    assert not empty_redis.exists(f"{keys.STOCK}m@1\npits")


def test_the_stock_of_a_version_that_is_no_more_is_dropped_and_not_filled(
    on_stock: Run, shelves: PoolReplenisher
) -> None:
    take(on_stock, 1)
    fill(shelves)
    take(on_stock, LEAST)
    lack = shelves.next_batch()
    assert lack is not None
    shelves.drop("m@1")
    shelves.put(lack, [b"late"] * len(lack.addresses))
    assert shelves.held() == {}
    assert fill(shelves) == 0


def test_addresses_alone_leave_the_stock_as_it_is(on_stock: Run, shelves: PoolReplenisher) -> None:
    take(on_stock, 1)
    fill(shelves)
    assert [png for _, png in take(on_stock, 3, ready=False).images] == [None] * 3
    assert shelves.held() == {"m@1": LEAST}
