"""A cache in Redis of images that were asked for by address. The oldest images make room for new ones."""

from collections.abc import Mapping, Sequence
from typing import cast

from redis import Redis

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live import keys
from flawsmith.core.live.pipeline_batcher import PipelineBatcher
from flawsmith.core.live.scripts import script


async def read_cached(pipeline: PipelineBatcher, version: str, addresses: Sequence[Address]) -> list[bytes | None]:
    """The encoded image (PNG) of each address, or None where it is not cached."""
    names = [f"{keys.CACHED_IMAGE}{version}\n{each}" for each in addresses]
    return cast(list[bytes | None], await pipeline.run(lambda pipe: pipe.mget(names)))


def store_in_cache(client: Redis, version: str, images: Mapping[Address, bytes], bound: int) -> None:
    """Stores encoded images (PNG), then removes the oldest so that the cache holds at most ``bound`` bytes."""
    pairs = [word for each, png in images.items() for word in (f"{version}\n{each}", png)]
    cache_keys = [keys.CACHED_BY_AGE, keys.CACHED_BYTES, keys.CACHED_IMAGE]
    client.register_script(script("cache_store"))(cache_keys, [bound, *pairs])
