"""Fixtures for tests of what is sent to trackers, without a service."""

from pathlib import Path

import pytest
import redis

from flawsmith.core.services import Services
from flawsmith.core.settings import Settings
from flawsmith.trackers import follower as following


@pytest.fixture
def services(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Services:
    return Services(Settings(data_dir=tmp_path, redis_url=f"unix://{redis_server}/redis/redis.sock"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing rests after a failure, and ended jobs are looked at each time."""
    monkeypatch.setattr(following, "FIRST_REST", 0.0)
    monkeypatch.setattr(following, "SECONDS_FOR_ONE", 0.0)
