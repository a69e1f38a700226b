"""Fixtures for tests of the sampling queue."""

from pathlib import Path

import pytest
import redis
from tests.core.live.queue_clients import BlockingProducer, announced

from flawsmith.core.live.sampling_queue import Consumer


@pytest.fixture
def producer(empty_redis: redis.Redis, redis_server: Path) -> BlockingProducer:
    return BlockingProducer(redis_server / "redis" / "redis.sock", limit=1000)


@pytest.fixture
def consumer(empty_redis: redis.Redis) -> Consumer:
    return announced(empty_redis, "sample-1")
