"""The API while its Redis is full: ``maxmemory`` is reached, nothing may be evicted, and every write is refused."""

from collections.abc import Iterator

import pytest
import redis
from starlette.testclient import TestClient

from flawsmith.app.main import create_app
from flawsmith.core.live.task_queues import QUEUES, announce
from flawsmith.core.settings import Settings


@pytest.fixture
def client(redis_settings: Settings, empty_redis: redis.Redis) -> Iterator[TestClient]:
    """A client of the API, which sees a live worker of each queue."""
    with TestClient(create_app(redis_settings), base_url="http://127.0.0.1") as client:
        for queue in QUEUES:
            announce(empty_redis, queue, f"{queue}-1", "host:1")
        yield client


@pytest.fixture
def full_redis(client: TestClient, empty_redis: redis.Redis) -> Iterator[redis.Redis]:
    empty_redis.config_set("maxmemory", 1)
    yield empty_redis
    empty_redis.config_set("maxmemory", 0)


def test_readyz_says_that_redis_is_full(client: TestClient, full_redis: redis.Redis) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["redis: full, it refuses writes; raise its maxmemory"]


def test_calls_say_that_redis_is_full_and_not_that_it_is_away(client: TestClient, full_redis: redis.Redis) -> None:
    answer = client.get("/training-jobs")  # the first call restores the jobs, which writes
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("Redis is full")


def test_the_api_is_ready_when_there_is_room(client: TestClient, empty_redis: redis.Redis) -> None:
    assert client.get("/readyz").json() == {"status": "ready", "missing": [], "warnings": []}
