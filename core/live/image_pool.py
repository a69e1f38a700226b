"""Ready images in Redis: each taken by one caller only, and made ahead by sampling workers as the demand asks.

A stock is a list of encoded images of one model version and defect type. How many it should hold follows from the rate
at which they are asked for, within bounds of bytes; when half of that is left, one shift of a worker fills it up. A
server that restarted may have forgotten the last images that it gave out, so a stock is good for the run of the server
that it was filled in, and is made anew in the next.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from redis import Redis

from flawsmith.core.domain.addresses import Address, seed_floor
from flawsmith.core.live import keys
from flawsmith.core.live.sampling_queue import MICRO_BATCH, WAKE_SAMPLER
from flawsmith.core.settings import Settings

LEAST = 4 * MICRO_BATCH  # images of a stock that is asked of at all
COVER_SECONDS = 10.0  # of demand that a stock is to hold
RATE_SECONDS = 10.0  # over which the demand is averaged
REPEATED_SECONDS = 900.0  # longer than a client tries again
IDLE_SECONDS = 900.0  # a stock that nobody asked of for so long is dropped

_RUN = "local run = string.match(redis.call('info', 'server'), 'run_id:(%x+)')\n"
_RESERVE = """
local function reserve(name, count, floor)
  local key = NEXT_SEED .. name
  local kept = redis.call('hmget', key, 'next', 'run')
  local start = tonumber(kept[1])
  if not start or kept[2] ~= run then start = math.max(start or 0, floor) end
  redis.call('hset', key, 'next', string.format('%.0f', start + count), 'run', run)
  return string.format('%.0f', start)
end
"""
_COMMON = (
    WAKE_SAMPLER
    + f"""
local STOCKS, STOCK, STATE = '{keys.STOCKS}', '{keys.STOCK}', '{keys.STOCK_STATE}'
local NEXT_SEED = '{keys.NEXT_SEED}'
local stamp = redis.call('time')
local now = stamp[1] * 1000 + math.floor(stamp[2] / 1000)
"""
    + _RUN
    + _RESERVE
)

_TAKE = (
    _COMMON
    + """
local count, floor, ready = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local types = #ARGV - 3
local turn = types > 1 and redis.call('incrby', KEYS[1], count) - count or 0
local answer, short = {string.format('%.0f', turn), 0}, false
for type = 0, types - 1 do
  local first = (type - turn) % types
  local wanted = first < count and math.floor((count - 1 - first) / types) + 1 or 0
  local items, start = {}, '0'
  if wanted > 0 then
    local name = ARGV[4 + type]
    if ready then
      local state = redis.call('hmget', STATE .. name, 'run', 'low')
      if state[1] ~= run then
        redis.call('del', STOCK .. name)
        redis.call('hset', STATE .. name, 'run', run)
      end
      items = redis.call('lpop', STOCK .. name, wanted) or {}
      redis.call('hincrby', STATE .. name, 'asked', wanted)
      redis.call('zadd', STOCKS, now, name)
      if redis.call('llen', STOCK .. name) <= tonumber(state[2] or 0) then short = true end
    end
    if #items < wanted then start = reserve(name, wanted - #items, floor) end
  end
  answer[#answer + 1] = items
  answer[#answer + 1] = start
end
if short then answer[2] = wake_sampler(now, false, 0) end
answer[#answer + 1] = run
return answer
"""
)

_PUT = (
    _COMMON
    + """
local name = ARGV[2]
if run ~= ARGV[4] or not redis.call('set', KEYS[1], 1, 'nx', 'px', ARGV[3]) then return end
if not redis.call('zscore', STOCKS, name) then return end
if redis.call('hget', STATE .. name, 'run') ~= run then
  redis.call('del', STOCK .. name)
  redis.call('hset', STATE .. name, 'run', run)
end
local bytes = 0
for i = 5, #ARGV do bytes = bytes + #ARGV[i] end
redis.call(ARGV[1], STOCK .. name, unpack(ARGV, 5))
redis.call('hset', STATE .. name, 'item_bytes', bytes / (#ARGV - 4))
"""
)

# Looks at every stock: averages its demand, says how much it should hold, drops it where it is idle, and finds the one
# that lacks the largest part of what it should hold.
_PLAN = (
    _COMMON
    + """
local least, most, floor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local model_bytes, all_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local idle, cover, average = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local function is_meant(name) return ARGV[10] == '' or string.sub(name, 1, #ARGV[10] + 1) == ARGV[10] .. '\\n' end
for _, name in ipairs(redis.call('zrangebyscore', STOCKS, '-inf', now - idle * 1000)) do
  redis.call('del', STOCK .. name, STATE .. name)
  redis.call('zrem', STOCKS, name)
end
local stocks, of_model, all = {}, {}, 0
for _, name in ipairs(redis.call('zrange', STOCKS, 0, -1)) do
  local state = redis.call('hmget', STATE .. name, 'asked', 'rate', 'at', 'item_bytes', 'run')
  if state[5] ~= run then
    redis.call('del', STOCK .. name)
    redis.call('hset', STATE .. name, 'run', run)
  end
  local rate, at = tonumber(state[2] or 0), tonumber(state[3] or now - 1000)
  local seconds = (now - at) / 1000
  if seconds >= 0.5 then
    local weight = 1 - math.exp(-seconds / average)
    rate = rate + (tonumber(state[1] or 0) / seconds - rate) * weight
    redis.call('hset', STATE .. name, 'asked', 0, 'rate', rate, 'at', now)
  end
  local bytes, model = tonumber(state[4] or 16384), string.match(name, '^[^@]*')
  local wanted = math.max(least, rate * cover) * bytes
  stocks[#stocks + 1] = {name = name, model = model, bytes = bytes, wanted = wanted, weighed = state[4]}
  of_model[model] = (of_model[model] or 0) + wanted
end
for _, wanted in pairs(of_model) do all = all + math.min(wanted, model_bytes) end
local worst, lacking, need = nil, 1, 0
for _, stock in ipairs(stocks) do
  local share = math.min(1, model_bytes / of_model[stock.model]) * math.min(1, all_bytes / all)
  local target = math.floor(stock.wanted * share / stock.bytes)
  if not stock.weighed then target = math.max(target, most) end
  redis.call('hset', STATE .. stock.name, 'target', target, 'low', math.floor(target / 2))
  local held = redis.call('llen', STOCK .. stock.name)
  local wanting = math.min(most, target - held)
  if target == 0 then
    redis.call('del', STOCK .. stock.name)
  elseif held > target and share < 1 then
    redis.call('ltrim', STOCK .. stock.name, 0, target - 1)
  elseif (wanting == most or held == 0) and held / target < lacking and is_meant(stock.name) then
    worst, lacking, need = stock.name, held / target, wanting
  end
end
if not worst then return nil end
if ARGV[9] == 'fill' then return {worst, reserve(worst, need, floor), tostring(need), run} end
if lacking <= 0.5 then return wake_sampler(now, false, 0) end
return 0
"""
)


@dataclass(frozen=True)
class TakeResult:
    """What a caller was given: an address for each image, and the encoded image (PNG) where one was ready."""

    images: list[tuple[Address, bytes | None]]
    wake_sampler: bool
    run: bytes  # of the server, in which what is given back may be given out again


@dataclass(frozen=True)
class RefillRequest:
    """New addresses, of one type, that a version's stock is to have; reserved in a run of the server."""

    version: str
    addresses: list[Address]
    run: bytes


class ImagePool:
    """The take_coalescer side, in an API process."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._take, self._put = client.register_script(_TAKE), client.register_script(_PUT)

    async def take(
        self, version: str, classes: Sequence[str], defect_type: str | None, count: int, *, ready: bool = True
    ) -> TakeResult:
        """So many images that were given to nobody before, the types in turn where none is asked for.

        What is not in stock comes as an address that nobody was given; with ``ready=False`` all of it does.
        """
        types = [defect_type] if defect_type else classes
        names = [_name(version, each) for each in types]
        answer = await self._take([keys.next_turn(version)], [count, seed_floor(), int(ready), *names])
        turn, wake_sampler = int(answer[0]), bool(answer[1])
        of_type = [_unpacked(*answer[2 + 2 * number : 4 + 2 * number]) for number in range(len(types))]
        images = []
        for position in range(turn, turn + count):
            number = position % len(types)
            seed, png = next(of_type[number])
            images.append((Address(types[number], seed), png))
        return TakeResult(images, wake_sampler, answer[-1])

    async def give_back(self, version: str, images: Sequence[tuple[Address, bytes]], run: bytes) -> None:
        """Puts images back that were taken and given to nobody; they are the next to be taken."""
        of_type: dict[str, list[bytes]] = {}
        for address, png in reversed(images):
            of_type.setdefault(address.defect_type, []).append(_item(address, png))
        for defect_type, items in of_type.items():
            await self._put(*_once("lpush", _name(version, defect_type), items, run))


class PoolReplenisher:
    """The filling side, in a worker; and the look-out for stocks that are idle or short, anywhere."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.redis, self.settings = client, settings
        self._plan, self._put = client.register_script(_PLAN), client.register_script(_PUT)

    def next_batch(self, count: int = MICRO_BATCH, version: str = "") -> "RefillRequest | None":
        """At most so many addresses, of one type, that are lacked most; None where every stock is full.

        Where a version is given, what its stocks lack.
        """
        found = self._call_plan("fill", count, version)
        if not found:
            return None
        name, start, needed, run = cast(list[bytes], found)
        lacking, _, defect_type = name.decode().partition("\n")
        return RefillRequest(lacking, [Address(defect_type, int(start) + number) for number in range(int(needed))], run)

    def put(self, lack: "RefillRequest", pngs: Sequence[bytes]) -> None:
        """Puts what was lacking in stock, unless the server was started anew meanwhile."""
        name = _name(lack.version, lack.addresses[0].defect_type)
        items = [_item(*each) for each in zip(lack.addresses, pngs, strict=True)]
        self._put(*_once("rpush", name, items, lack.run))

    def look(self) -> bool:
        """Drops idle stocks; whether to send a shift's message for one that is short."""
        return bool(self._call_plan("look") == 1)

    def drop(self, version: str) -> None:
        """Removes the stocks of a version that is no more."""
        for name in cast(list[bytes], self.redis.zrange(keys.STOCKS, 0, -1)):
            if name.decode().partition("\n")[0] == version:
                pipe = self.redis.pipeline()
                pipe.zrem(keys.STOCKS, name)
                pipe.delete(keys.STOCK + name.decode(), keys.STOCK_STATE + name.decode())
                pipe.execute()

    def held(self) -> dict[str, int]:
        """Ready images of each version."""
        names = [name.decode() for name in cast(list[bytes], self.redis.zrange(keys.STOCKS, 0, -1))]
        pipe = self.redis.pipeline(transaction=False)
        for name in names:
            pipe.llen(keys.STOCK + name)
        held: dict[str, int] = {}
        for name, count in zip(names, pipe.execute(), strict=True):
            version = name.partition("\n")[0]
            held[version] = held.get(version, 0) + count
        return held

    def _call_plan(self, purpose: str, count: int = MICRO_BATCH, version: str = "") -> Any:
        bounds = [self.settings.stock_bytes_per_model, self.settings.stock_bytes]
        times = [IDLE_SECONDS, COVER_SECONDS, RATE_SECONDS]
        return self._plan(args=[LEAST, count, seed_floor(), *bounds, *times, purpose, version])


def _name(version: str, defect_type: str) -> str:
    return f"{version}\n{defect_type}"


def _once(push: str, name: str, items: list[bytes], run: bytes) -> tuple[list[str], list[Any]]:
    """Keys and arguments of a call that does nothing when it comes a second time, or to another run of the server.

    A client whose answer was cut off sends it again, and an image that stands in stock twice would be given twice.
    """
    return [keys.stock_put(secrets.token_hex(8))], [push, name, int(REPEATED_SECONDS * 1000), run, *items]


def _item(address: Address, png: bytes) -> bytes:
    return b"%d:%b" % (address.seed, png)


def _unpacked(items: list[bytes], start: bytes) -> Any:
    """Seeds with their images, those in stock first; then reserved seeds without."""
    for item in items:
        seed, _, png = item.partition(b":")
        yield int(seed), png
    following = int(start)
    while True:
        yield following, None
        following += 1
