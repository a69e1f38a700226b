"""Images that were asked for by address, kept within a bound."""

import asyncio
from pathlib import Path

import redis
import redis.asyncio

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live import keys
from flawsmith.core.live.image_cache import cached, keep
from flawsmith.core.live.pipeline_batcher import PipelineBatcher


def read(redis_server: Path, seeds: range) -> list[bytes | None]:
    async def run() -> list[bytes | None]:
        async with redis.asyncio.Redis(unix_socket_path=str(redis_server / "redis" / "redis.sock")) as client:
            return await cached(PipelineBatcher(client), "m@1", [Address("pits", seed) for seed in seeds])

    return asyncio.run(run())


def test_the_oldest_make_room_for_the_newest(empty_redis: redis.Redis, redis_server: Path) -> None:
    for seed in range(20):
        keep(empty_redis, "m@1", {Address("pits", seed): bytes([seed]) * 100}, bound=1000)
    assert read(redis_server, range(20)) == [None] * 10 + [bytes([seed]) * 100 for seed in range(10, 20)]
    assert int(empty_redis.get(keys.IMAGES_BYTES) or 0) == 1000


def test_what_is_kept_twice_counts_once(empty_redis: redis.Redis, redis_server: Path) -> None:
    for _ in range(3):
        keep(empty_redis, "m@1", {Address("pits", 1): b"image"}, bound=1000)
    assert int(empty_redis.get(keys.IMAGES_BYTES) or 0) == 5
    assert read(redis_server, range(1, 2)) == [b"image"]
