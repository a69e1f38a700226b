"""Fixtures for tests of the API's parts on small applications, without a running service."""

from pathlib import Path

import pytest
import redis

from flawsmith.core.settings import Settings


@pytest.fixture
def redis_settings(redis_server: Path, empty_redis: redis.Redis) -> Settings:
    """Settings whose Redis is the embedded server, with an empty database."""
    return Settings(data_dir=redis_server)
