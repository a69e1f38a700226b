"""Connections to Redis. Every call has a time limit; a worker's calls are retried until Redis has restarted."""

import hashlib
import os
import tempfile
from pathlib import Path

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from flawsmith.core.live import keys
from flawsmith.core.settings import Settings

LONGEST_SOCKET_PATH = 107  # bytes, of sockaddr_un on Linux
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
QUICK_SECONDS = 2.0  # where a caller waits, or where the call is repeated anyway
HEALTH_CHECK_SECONDS = 10
WORKER_RETRIES = 30  # at most a second apart, which outlasts a restart of Redis
API_CONNECTIONS = 32  # of one process, which may serve a thousand requests at once
API_RETRIES = 1  # after a connection was cut, not after a timeout: the caller had better get its 503 now
_RETRIED = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)


def redis_url(settings: Settings) -> str:
    """URL of the configured server, or of the embedded one's socket."""
    return settings.redis_url or f"unix://{embedded_socket(settings.data_dir)}"


def embedded_socket(data_dir: Path) -> Path:
    """The embedded server's socket in the data folder; only this user can reach it.

    Linux limits a socket's path to 107 bytes. If the data folder's path is too long, the socket is in the system's
    folder for temporary files instead; a hash of the data folder names it, so that every process finds the same one.
    """
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"flawsmith-{os.getuid()}-{mark}" / "redis.sock"


def connect(settings: Settings, retries: int = WORKER_RETRIES, answer_seconds: float = ANSWER_SECONDS) -> redis.Redis:
    """A client. With the default number of retries it waits until Redis has restarted."""
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
    """A client for the API's event loop."""
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


def probe_write(client: redis.Redis) -> None:
    """Writes a key that expires after a second.

    Raises:
        RedisError: the write failed; OutOfMemoryError if the server is full, which still answers every read.
    """
    client.set(keys.WRITE_PROBE, 1, px=1000)
