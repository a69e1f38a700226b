"""Image addresses: (model version, defect type, seed), and how the service counts the seeds that it gives out."""

import time
from dataclasses import dataclass

from redis.asyncio import Redis

from core import keys

SEEDS = 2**53  # a seed is 0 … SEEDS - 1: what every JSON reader keeps exactly
FIRST_OWN_SEED = 2**52  # the upper half is the service's; callers choose from all

_EPOCH = 1767225600  # 2026-01-01T00:00:00Z, in Unix seconds
_SEEDS_A_MILLISECOND = 2**10

_RESERVE = """
local run = string.match(redis.call('info', 'server'), 'run_id:(%x+)')
local kept = redis.call('hmget', KEYS[1], 'next', 'run')
local start = tonumber(kept[1])
if not start or kept[2] ~= run then start = math.max(start or 0, tonumber(ARGV[2])) end
redis.call('hset', KEYS[1], 'next', string.format('%.0f', start + tonumber(ARGV[1])), 'run', run)
return string.format('%.0f', start)
"""


@dataclass(frozen=True)
class Address:
    """One image's place within a model version; the same address is the same bytes for ever."""

    defect_type: str
    seed: int


def seeded(classes: list[str], defect_type: str | None, seed: int, count: int) -> list[Address]:
    """The images seed … seed + count - 1; without a type, a seed's type is its turn, alone or among hundreds."""
    return [Address(defect_type or classes[each % len(classes)], each) for each in range(seed, seed + count)]


async def reserve(redis: Redis, version: str, classes: list[str], defect_type: str | None, count: int) -> list[Address]:
    """Addresses that were never given out before, counted up per model version and defect type.

    A server that restarted may have forgotten its last counts, and one that was wiped all of them. So each count is
    kept with the run of the server that counted it, and in another run goes on from a floor that grows with the clock
    by 1,024 seeds a millisecond, faster than any generator: it lies above all that was ever given out.
    """
    types = [defect_type] * count if defect_type else await _in_turn(redis, version, classes, count)
    floor = FIRST_OWN_SEED + int((time.time() - _EPOCH) * 1000) * _SEEDS_A_MILLISECOND
    following: dict[str, int] = {}
    for each in sorted(set(types)):
        key = keys.next_seed(version, each)
        following[each] = int(await redis.eval(_RESERVE, 1, key, types.count(each), floor))
    addresses = []
    for each in types:
        addresses.append(Address(each, following[each]))
        following[each] += 1
    return addresses


async def _in_turn(redis: Redis, version: str, classes: list[str], count: int) -> list[str]:
    end = int(await redis.incrby(keys.next_turn(version), count))
    return [classes[turn % len(classes)] for turn in range(end - count, end)]
