"""Redis keys that earlier releases used for the image pool and the sampling queue, and that nothing reads any more."""

import logging

from redis import Redis
from redis.exceptions import RedisError

from flawsmith.core.live.keys import PREFIX

log = logging.getLogger(__name__)

_PATTERNS = [f"{PREFIX}:{name}" for name in ("stock*", "work:*", "shift*")]  # up to commit b2444ae
_PAGE = 1000  # keys in one scan and one removal


def drop_keys_of_earlier_releases(client: Redis) -> None:
    """Removes those keys, so that they take no memory. Where Redis is away, the next start does it."""
    try:
        for pattern in _PATTERNS:
            names = list(client.scan_iter(match=pattern, count=_PAGE))
            for start in range(0, len(names), _PAGE):
                client.unlink(*names[start : start + _PAGE])
    except RedisError as error:
        log.warning("cannot remove Redis keys of an earlier release: %s", error)
