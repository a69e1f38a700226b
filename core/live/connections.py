"""Connections to Redis. Every call has a time limit; a worker's calls are retried until Redis has restarted.

What may be lost (image pools, sampling queue, inboxes, image cache) may have a server of its own, `image_redis_url`.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
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


class UnsafeSocketFolder(Exception):
    """Another user could put a server of their own in the place of the embedded one; the message says what to do."""


def redis_url(settings: Settings) -> str:
    """URL of the configured server, or of the embedded one's socket.

    Raises:
        UnsafeSocketFolder: the folder of that socket is not this user's alone.
    """
    if settings.redis_url:
        return settings.redis_url
    socket = embedded_socket(settings.data_dir)
    if settings.data_dir not in socket.parents or socket.parent.exists():
        keep_private(socket.parent)
    return f"unix://{socket}"


def image_redis_url(settings: Settings) -> str:
    """URL of the server for what may be lost: a second one, or that of `redis_url`. Raises as that."""
    return settings.image_redis_url or redis_url(settings)


def keep_private(folder: Path) -> None:
    """Makes a folder that only this user can enter, or checks that an existing one is.

    In a shared place every client makes it: from then on, nobody else can make a folder of that name there.

    Raises:
        UnsafeSocketFolder: others may write into it, it belongs to another user, or it is no folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UnsafeSocketFolder(
            f"cannot make the folder {folder} ({error.strerror}); set FLAWSMITH_DATA_DIR"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UnsafeSocketFolder(
            f"{folder} is a link, or belongs to another user, who could answer in place of Redis; remove it, or set"
            " FLAWSMITH_DATA_DIR to a shorter path, or FLAWSMITH_REDIS_URL"
        )
    if found.st_mode & 0o022:
        raise UnsafeSocketFolder(
            f"others may write into {folder}, and so answer in place of Redis; empty it, and set its mode to 700"
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)


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


def tls_options(settings: Settings, url: str) -> dict[str, str]:
    """How the server of a ``rediss://`` URL is checked, and what it gets to check; empty for other URLs.

    The certificate must be of a known authority and of the server's name.
    """
    if not url.startswith("rediss://"):
        return {}
    files = {
        "ssl_ca_certs": settings.redis_ca_file,
        "ssl_certfile": settings.redis_cert_file,
        "ssl_keyfile": settings.redis_key_file,
    }
    return {"ssl_cert_reqs": "required", **{name: str(path) for name, path in files.items() if path}}


def connect(
    settings: Settings, retries: int = WORKER_RETRIES, answer_seconds: float = ANSWER_SECONDS, url: str | None = None
) -> redis.Redis:
    """A client of `redis_url`, or another ``url``. With the default retries it waits until Redis has restarted."""
    url = url or redis_url(settings)
    return redis.Redis.from_url(
        url,
        **tls_options(settings, url),
        socket_connect_timeout=min(CONNECT_SECONDS, answer_seconds),
        socket_timeout=answer_seconds,
        health_check_interval=HEALTH_CHECK_SECONDS,
        retry=Retry(
            ExponentialBackoff(cap=1.0, base=0.05), retries, _RETRIED if retries > API_RETRIES else _RETRIED[:1]
        ),
    )


def connect_async(settings: Settings, url: str | None = None) -> redis.asyncio.Redis:
    """A client for the API's event loop, of `redis_url` or another ``url``."""
    url = url or redis_url(settings)
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        **tls_options(settings, url),
        max_connections=API_CONNECTIONS,
        timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        health_check_interval=HEALTH_CHECK_SECONDS,
        retry=AsyncRetry(ExponentialBackoff(cap=1.0, base=0.05), API_RETRIES, _RETRIED[:1]),
    )
    pool.connection_class = type("Connection", (_NoticesItsLoss, pool.connection_class), {})
    return redis.asyncio.Redis.from_pool(pool)


class _NoticesItsLoss(AbstractConnection):
    """A connection that was lost while it was idle, as over a link that was cut, fails as one and is made again.

    redis-py 8 looks for an end of the stream before it uses a connection again, not for an error. uvloop then raises
    what neither redis-py nor a caller takes for a lost connection.
    """

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise redis.exceptions.ConnectionError(f"the connection was lost: {error}") from error


def probe_write(client: redis.Redis) -> None:
    """Writes a key that expires after a second.

    Raises:
        RedisError: the write failed; OutOfMemoryError if the server is full, which still answers every read.
    """
    client.set(keys.WRITE_PROBE, 1, px=1000)
