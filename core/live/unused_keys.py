"""Redis keys that nothing reads any more: those of earlier releases, and of what is on the second server now."""

import logging
from collections.abc import Sequence

from redis import Redis
from redis.exceptions import RedisError

from flawsmith.core.live import keys
from flawsmith.core.live.keys import PREFIX
from flawsmith.core.live.task_queues import SAMPLE

log = logging.getLogger(__name__)

_OF_EARLIER_RELEASES = [f"{PREFIX}:{name}" for name in ("stock*", "work:*", "shift*")]  # up to commit b2444ae
_OF_IMAGES = [
    *(f"{prefix}*" for prefix in (keys.POOLS, keys.NEXT_SEED, keys.SAMPLING_QUEUE, keys.SAMPLER, keys.CACHED_IMAGE)),
    *(keys.next_type("*"), keys.inbox("*"), keys.CACHED_BY_AGE, keys.CACHED_BYTES, keys.workers(SAMPLE)),
]
_PAGE = 1000  # keys in one scan and one removal


def drop_unused_keys(client: Redis, image_client: Redis) -> None:
    """Removes those keys, so that they take no memory. Where Redis is away, the next start does it.

    Args:
        client: the server whose keys are removed.
        image_client: the server of what may be lost; images that ``client`` still has from before are removed.
    """
    try:
        _drop(client, _OF_EARLIER_RELEASES)
        if image_client is not client and _server_run(image_client) != _server_run(client):
            _drop(client, _OF_IMAGES)
    except RedisError as error:
        log.warning("cannot remove Redis keys that nothing reads any more: %s", error)


def _server_run(client: Redis) -> str:
    """Two addresses may be of one server, whose keys are in use."""
    return str(client.info("server")["run_id"])


def _drop(client: Redis, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        names = list(client.scan_iter(match=pattern, count=_PAGE))
        for start in range(0, len(names), _PAGE):
            client.unlink(*names[start : start + _PAGE])
