"""Connections to Redis: bounded in time, so that no caller hangs, and patient enough to outlast its restart."""

import hashlib
import os
import tempfile
from pathlib import Path

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from flawsmith.core.settings import Settings

LONGEST_SOCKET_PATH = 107  # bytes, of sockaddr_un on Linux
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
QUICK_SECONDS = 2.0  # where somebody waits, or where the next try comes by itself
HEALTH_CHECK_SECONDS = 10
WORKER_RETRIES = 30  # at most a second apart: a restart of Redis is shorter
API_CONNECTIONS = 32  # of one process: a thousand requests at once must not open a thousand
API_RETRIES = 1  # of a connection that was cut, not of a server that is silent: a caller waits, better a clear 503
_RETRIED = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)


def redis_url(settings: Settings) -> str:
    """The configured server, or the socket of the embedded one that `flawsmith serve` runs."""
    return settings.redis_url or f"unix://{embedded_socket(settings.data_dir)}"


def embedded_socket(data_dir: Path) -> Path:
    """Where the embedded server listens: a socket that this user alone can reach, in the data folder.

    A socket's path has 107 bytes at most. Under a longer data folder it stands in the system's folder for temporary
    files, under a name that the data folder determines, so that every process of this service finds the same one.
    """
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"flawsmith-{os.getuid()}-{mark}" / "redis.sock"


def connect(settings: Settings, retries: int = WORKER_RETRIES, answer_seconds: float = ANSWER_SECONDS) -> redis.Redis:
    """A client that gives up after so many retries; by default, one that waits for Redis to come back."""
    return redis.Redis.from_url(
        redis_url(settings),
        socket_connect_timeout=min(CONNECT_SECONDS, answer_seconds),
        socket_timeout=answer_seconds,
        health_check_interval=HEALTH_CHECK_SECONDS,
        retry=Retry(
            ExponentialBackoff(cap=1.0, base=0.05), retries, _RETRIED if retries > API_RETRIES else _RETRIED[:1]
        ),
    )


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """A client for the event loop."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        redis_url(settings),
        max_connections=API_CONNECTIONS,
        timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        health_check_interval=HEALTH_CHECK_SECONDS,
        retry=AsyncRetry(ExponentialBackoff(cap=1.0, base=0.05), API_RETRIES, _RETRIED[:1]),
    )
    return redis.asyncio.Redis.from_pool(pool)
