"""The cache of images by address keeps the newest within its bound."""

import asyncio
from pathlib import Path

import redis
import redis.asyncio

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live.image_cache import read_cached, store_in_cache
from flawsmith.core.live.pipeline_batcher import PipelineBatcher


def read(redis_server: Path, seeds: range) -> list[bytes | None]:
    async def run() -> list[bytes | None]:
        async with redis.asyncio.Redis(unix_socket_path=str(redis_server / "redis" / "redis.sock")) as client:
            return await read_cached(PipelineBatcher(client), "m@1", [Address("pits", seed) for seed in seeds])

    return asyncio.run(run())


def test_the_oldest_images_make_room_for_the_newest(empty_redis: redis.Redis, redis_server: Path) -> None:
    for seed in range(20):
        store_in_cache(empty_redis, "m@1", {Address("pits", seed): bytes([seed]) * 100}, bound=1000)
    assert read(redis_server, range(20)) == [None] * 10 + [bytes([seed]) * 100 for seed in range(10, 20)]


def test_an_image_that_is_stored_again_counts_once(empty_redis: redis.Redis, redis_server: Path) -> None:
    store_in_cache(empty_redis, "m@1", {Address("pits", 0): b"other"}, bound=10)
    for _ in range(3):
        store_in_cache(empty_redis, "m@1", {Address("pits", 1): b"image"}, bound=10)
    assert read(redis_server, range(2)) == [b"other", b"image"]
