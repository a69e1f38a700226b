"""The embedded server."""

from pathlib import Path

import pytest
import redis


@pytest.mark.parametrize(
    ("option", "value"),
    [("appendonly", "yes"), ("appendfsync", "everysec"), ("save", ""), ("maxmemory-policy", "noeviction")],
)
def test_the_server_is_durable_and_never_evicts(empty_redis: redis.Redis, option: str, value: str) -> None:
    assert empty_redis.config_get(option) == {option: value}


def test_the_server_listens_on_its_socket_only(empty_redis: redis.Redis, redis_server: Path) -> None:
    assert empty_redis.config_get("port") == {"port": "0"}
    assert (redis_server / "redis" / "redis.sock").stat().st_mode & 0o777 == 0o700
