"""Image addresses and the seeds that the service gives out."""

import asyncio
import time
from pathlib import Path

import redis
import redis.asyncio

from core.addresses import FIRST_OWN_SEED, SEEDS, Address, reserve, seeded

CLASSES = ["dents", "pits", "scratches"]


def reserved(redis_server: Path, defect_type: str | None, *counts: int) -> list[list[Address]]:
    async def run() -> list[list[Address]]:
        async with redis.asyncio.Redis(unix_socket_path=str(redis_server / "redis" / "redis.sock")) as client:
            return [await reserve(client, "m@1", CLASSES, defect_type, count) for count in counts]

    return asyncio.run(run())


def test_a_seeds_type_is_the_same_alone_and_among_hundreds() -> None:
    many = seeded(CLASSES, None, 0, 200)
    assert all(seeded(CLASSES, None, address.seed, 1) == [address] for address in many)
    assert {address.defect_type for address in many[:3]} == set(CLASSES)


def test_unseeded_seeds_are_of_the_upper_half_and_counted_up(empty_redis: redis.Redis, redis_server: Path) -> None:
    first, second = reserved(redis_server, "pits", 3, 2)
    seeds = [address.seed for address in first + second]
    assert seeds == list(range(seeds[0], seeds[0] + 5))
    assert FIRST_OWN_SEED <= seeds[0] < SEEDS


def test_types_take_turns_over_calls(empty_redis: redis.Redis, redis_server: Path) -> None:
    calls = reserved(redis_server, None, 1, 1, 4)
    assert [address.defect_type for call in calls for address in call] == CLASSES * 2
    assert len({address for call in calls for address in call}) == 6


def test_after_a_wipe_no_seed_comes_again(empty_redis: redis.Redis, redis_server: Path) -> None:
    [before] = reserved(redis_server, "pits", 500)
    empty_redis.flushall()
    time.sleep(0.01)
    [after] = reserved(redis_server, "pits", 500)
    assert min(address.seed for address in after) > max(address.seed for address in before)


def test_a_server_that_restarted_and_forgot_its_last_counts_gives_no_seed_again(
    empty_redis: redis.Redis, redis_server: Path
) -> None:
    [before] = reserved(redis_server, "pits", 5)
    empty_redis.hset("flawsmith:seed:m@1:pits", mapping={"run": "another", "next": before[2].seed})
    time.sleep(0.01)
    [after] = reserved(redis_server, "pits", 5)
    assert min(address.seed for address in after) > max(address.seed for address in before)
