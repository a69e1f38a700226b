"""Images that were asked for by address, kept in Redis for whoever asks again; the oldest make room."""

from collections.abc import Mapping, Sequence
from typing import cast

from redis import Redis

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live import keys
from flawsmith.core.live.pipeline_batcher import PipelineBatcher

_KEEP = """
local bound, now = tonumber(ARGV[1]), redis.call('time')
local score = now[1] * 1000000 + now[2]
for i = 2, #ARGV, 2 do
  local key = KEYS[3] .. ARGV[i]
  if redis.call('set', key, ARGV[i + 1], 'nx') then
    redis.call('zadd', KEYS[1], score, key)
    redis.call('incrby', KEYS[2], #ARGV[i + 1])
  end
end
while tonumber(redis.call('get', KEYS[2]) or 0) > bound do
  local oldest = redis.call('zpopmin', KEYS[1])
  if not oldest[1] then redis.call('del', KEYS[2]) break end
  redis.call('decrby', KEYS[2], redis.call('strlen', oldest[1]))
  redis.call('del', oldest[1])
end
"""


async def cached(pipeline: PipelineBatcher, version: str, addresses: Sequence[Address]) -> list[bytes | None]:
    """The encoded image (PNG) of each address, or None where it is not kept."""
    names = [_key(version, each) for each in addresses]
    return cast(list[bytes | None], await pipeline.run(lambda pipe: pipe.mget(names)))


def keep(client: Redis, version: str, images: Mapping[Address, bytes], bound: int) -> None:
    """Keeps encoded images (PNG); with them the cache holds at most ``bound`` bytes of images."""
    arguments = [word for each, png in images.items() for word in (f"{version}\n{each}", png)]
    client.eval(_KEEP, 3, keys.IMAGES_BY_AGE, keys.IMAGES_BYTES, keys.IMAGE, bound, *arguments)


def _key(version: str, address: Address) -> str:
    return f"{keys.IMAGE}{version}\n{address}"
