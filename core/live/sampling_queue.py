"""Images that callers wait for: in what order, in whose hands, and how much may wait.

An API process submits addresses; a sampling worker takes them a micro-batch at a time and delivers each to every caller
that waits for it, through the inbox of the caller's API process. Within a version callers have turns, one image each;
versions have turns, one micro-batch each, and no caller two in a row where another waits. Whatever a worker that died
had in hand is put back, and an API process submits again what Redis lost: an address is the same bytes whoever makes
it, so making one twice does no harm.

All of it changes in scripts, each one atomic. In Redis, below `keys.WORK`:

| key                      | what                                                                       |
|--------------------------|----------------------------------------------------------------------------|
| `total`                  | string: addresses that somebody waits for                                  |
| `callers`                | hash: the same for each caller                                             |
| `rates`                  | hash: version -> images a second, as one worker measured it                |
| `versions`               | list: versions with addresses in line, the next first                      |
| `last`                   | string: the caller who was first in the last micro-batch                   |
| `V:deadlines`            | sorted set: addresses that somebody waits for, by their deadline in ms     |
| `V:subscribers`              | hash: address -> its caller, then each waiting request, tab-separated      |
| `V:callers`              | list: callers with addresses in line, the next first                       |
| `V:line:CALLER`          | list: a caller's addresses in line                                         |
| `hands`                  | set: workers that may have addresses in hand                               |
| `hand:WORKER`            | hash: micro-batch -> version and addresses, LF-separated                   |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from redis import Redis

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live import keys
from flawsmith.core.live.pipeline_batcher import PipelineBatcher
from flawsmith.core.live.task_queues import SAMPLE
from flawsmith.core.settings import Settings

_BY_ADDRESS, _NEW = "a", "n"  # before the name of a waiting request
MICRO_BATCH = 16  # images in one pass of a generator
FAILURE_MARK = b"!"  # before a payload that is no image but the reason why there is none; a PNG begins with 0x89
SENT_SECONDS = 3.0  # a shift's message that nobody took by then is sent again
SILENT_SECONDS = 5.0  # a worker at work that was silent for so long is not counted on
INBOX_SECONDS = 60
MARGIN = 2.5  # on the time that the work ahead is expected to take: what is accepted is ready in time on a bad day, too

MESSAGES = f"{keys.PREFIX}:broker:{SAMPLE}"  # the broker's list of shifts that no worker has taken

WAKE_SAMPLER = f"""
local function wake_sampler(now, waiting, total)
  if redis.call('exists', '{keys.SAMPLER_WOKEN}') == 1 or redis.call('llen', '{MESSAGES}') > 0 then return 0 end
  local running = redis.call('zcount', '{keys.ACTIVE_SAMPLERS}', now, '+inf')
  if running > 0 and not (waiting and total > running * {MICRO_BATCH}) then return 0 end
  redis.call('set', '{keys.SAMPLER_WOKEN}', 1, 'px', {int(SENT_SECONDS * 1000)})
  return 1
end
"""
"""Lua: whether the caller of the script is to send a shift's message now: not where one is on its way already."""

_COMMON = (
    WAKE_SAMPLER
    + f"""
local W = '{keys.WORK}'
local stamp = redis.call('time')
local now = stamp[1] * 1000 + math.floor(stamp[2] / 1000)

local function line_up(version, caller, address, first)
  local line = W .. version .. ':line:' .. caller
  if redis.call('exists', line) == 0 then
    if redis.call('exists', W .. version .. ':callers') == 0 then redis.call('rpush', W .. 'versions', version) end
    redis.call('rpush', W .. version .. ':callers', caller)
  end
  redis.call(first and 'lpush' or 'rpush', line, address)
end

local function drop(version, address)
  local subscribers = redis.call('hget', W .. version .. ':subscribers', address)
  if not subscribers then return nil end
  redis.call('hdel', W .. version .. ':subscribers', address)
  redis.call('zrem', W .. version .. ':deadlines', address)
  redis.call('decr', W .. 'total')
  local caller = string.match(subscribers, '^[^\\t]*')
  if redis.call('hincrby', W .. 'callers', caller, -1) <= 0 then redis.call('hdel', W .. 'callers', caller) end
  return subscribers
end

local function wake_sampler_for_queue()
  local waiting = redis.call('exists', W .. 'versions') == 1
  if not waiting then return 0 end
  return wake_sampler(now, waiting, tonumber(redis.call('get', W .. 'total') or 0))
end
"""
)

_SUBMIT = (
    _COMMON
    + """
local version, caller, subscriber = ARGV[1], ARGV[2], ARGV[3]
local patience, again, limit, workers = tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6]), tonumber(ARGV[7])
local margin = tonumber(ARGV[8])
local deadlines, subscribers = W .. version .. ':deadlines', W .. version .. ':subscribers'
local fresh = 0
for i = 9, #ARGV do
  if not redis.call('zscore', deadlines, ARGV[i]) then fresh = fresh + 1 end
end
if fresh > 0 and not again then
  local total = tonumber(redis.call('get', W .. 'total') or 0)
  local mine = tonumber(redis.call('hget', W .. 'callers', caller) or 0) + fresh
  local here = redis.call('zcard', deadlines) + fresh
  local others = redis.call('hlen', W .. 'callers') - (mine > fresh and 1 or 0)
  local rate = tonumber(redis.call('hget', W .. 'rates', version) or 0)
  local ahead = 0
  for _, each in ipairs(redis.call('lrange', W .. 'versions', 0, 99)) do
    local speed = tonumber(redis.call('hget', W .. 'rates', each) or 0)
    if speed > 0 then ahead = ahead + redis.call('zcard', W .. each .. ':deadlines') / speed end
  end
  local own = 0
  if rate > 0 then
    own = fresh / rate / workers
    ahead = math.min(ahead, (mine - fresh) * (others + 1) / rate + fresh * others / rate)
  end
  ahead = ahead / workers
  local room = limit - total
  if mine > room or here > 2 * room or (ahead * margin + own) * 1000 > patience then
    return {0, tostring(ahead), tostring(own)}
  end
end
for i = 9, #ARGV do
  local address = ARGV[i]
  local waiting = redis.call('hget', subscribers, address)
  if not waiting then
    redis.call('hset', subscribers, address, caller .. '\\t' .. subscriber)
    redis.call('zadd', deadlines, now + patience, address)
    redis.call('incr', W .. 'total')
    redis.call('hincrby', W .. 'callers', caller, 1)
    line_up(version, caller, address, false)
  else
    redis.call('zadd', deadlines, 'gt', now + patience, address)
    if not string.find(waiting .. '\\t', '\\t' .. subscriber .. '\\t', 1, true) then
      redis.call('hset', subscribers, address, waiting .. '\\t' .. subscriber)
    end
  end
end
return {1, wake_sampler_for_queue()}
"""
)

_CANCEL = (
    _COMMON
    + """
local version, subscriber = ARGV[1], ARGV[2]
for i = 3, #ARGV do
  local waiting = redis.call('hget', W .. version .. ':subscribers', ARGV[i])
  if waiting then
    local left, others = string.match(waiting, '^[^\\t]*'), 0
    for each in string.gmatch(waiting, '\\t([^\\t]*)') do
      if each ~= subscriber then left, others = left .. '\\t' .. each, others + 1 end
    end
    if others == 0 then drop(version, ARGV[i]) else redis.call('hset', W .. version .. ':subscribers', ARGV[i], left) end
  end
end
"""
)

_TAKE = (
    _COMMON
    + """
local worker, most = ARGV[1], tonumber(ARGV[2])

-- The next version for whom another caller is first than the one that was first last time, if there is one.
local function next_version()
  local last = redis.call('get', W .. 'last')
  for _, version in ipairs(redis.call('lrange', W .. 'versions', 0, 99)) do
    if redis.call('lindex', W .. version .. ':callers', 0) ~= last then
      redis.call('lrem', W .. 'versions', 1, version)
      return version
    end
  end
  return redis.call('lpop', W .. 'versions')
end

redis.call('zadd', KEYS[1], now + tonumber(ARGV[3]), worker)
while true do
  local version = next_version()
  if not version then return nil end
  local callers, batch, kinds = W .. version .. ':callers', {}, {}
  while #batch < most do
    local caller = redis.call('lpop', callers)
    if not caller then break end
    local line = W .. version .. ':line:' .. caller
    local address = redis.call('lpop', line)
    while address do
      local deadline = redis.call('zscore', W .. version .. ':deadlines', address)
      if deadline and tonumber(deadline) > now then break end
      if deadline then drop(version, address) end
      address = redis.call('lpop', line)
    end
    if address then
      if #batch == 0 then redis.call('set', W .. 'last', caller) end
      batch[#batch + 1] = address
      local subscribers = redis.call('hget', W .. version .. ':subscribers', address)
      kinds[#kinds + 1] = string.find(subscribers, '\\t[^\\t/]*/a') and 'a' or 'n'
    end
    if redis.call('exists', line) == 1 then redis.call('rpush', callers, caller) end
  end
  if redis.call('exists', callers) == 1 then redis.call('rpush', W .. 'versions', version) end
  if #batch > 0 then
    local number = redis.call('incr', W .. 'batches')
    redis.call('sadd', W .. 'hands', worker)
    redis.call('hset', W .. 'hand:' .. worker, number, version .. '\\n' .. table.concat(batch, '\\n'))
    return {tostring(number), version, batch, table.concat(kinds)}
  end
end
"""
)

_DELIVER = (
    _COMMON
    + f"""
local worker, number, version, rate = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local told = {{}}
for i = 5, #ARGV, 2 do
  local subscribers = drop(version, ARGV[i])
  for inbox, request in string.gmatch(subscribers or '', '\\t([^\\t/]*)/([^\\t]*)') do
    local key = '{keys.inbox("")}' .. inbox
    redis.call('rpush', key, string.sub(request, 2) .. '\\n' .. ARGV[i] .. '\\n' .. ARGV[i + 1])
    redis.call('expire', key, {INBOX_SECONDS})
    told[#told + 1] = string.sub(request, 2)
  end
end
redis.call('hdel', W .. 'hand:' .. worker, number)
if tonumber(rate) > 0 then redis.call('hset', W .. 'rates', version, rate) end
return told
"""
)

_PUT_BACK = """
local function put_back(worker)
  for _, batch in ipairs(redis.call('hvals', W .. 'hand:' .. worker)) do
    local version, addresses = string.match(batch, '^([^\\n]*)\\n(.*)$')
    for address in string.gmatch(addresses, '[^\\n]+') do
      local subscribers = redis.call('hget', W .. version .. ':subscribers', address)
      if subscribers then line_up(version, string.match(subscribers, '^[^\\t]*'), address, true) end
    end
  end
  redis.call('del', W .. 'hand:' .. worker)
  redis.call('srem', W .. 'hands', worker)
end
"""

_END = (
    _COMMON
    + _PUT_BACK
    + """
put_back(ARGV[1])
redis.call('zrem', KEYS[1], ARGV[1])
if ARGV[2] == '1' then return wake_sampler(now, false, 0) end
return wake_sampler_for_queue()
"""
)

_BEGIN = (
    _COMMON
    + _PUT_BACK
    + """
put_back(ARGV[1])
redis.call('del', KEYS[1])
redis.call('zadd', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
"""
)

_RECOVER = (
    _COMMON
    + _PUT_BACK
    + """
for _, worker in ipairs(redis.call('smembers', W .. 'hands')) do
  local seen = redis.call('hget', KEYS[1], worker)
  if not seen or tonumber(string.match(seen, '^%d+')) < now then put_back(worker) end
end
return wake_sampler_for_queue()
"""
)


class Overloaded(Exception):
    """There is too much to do: ``ahead`` seconds of others' work and ``own`` of this, as far as speeds are known."""

    def __init__(self, ahead: float, own: float) -> None:
        super().__init__(f"{ahead:.1f} s of work ahead")
        self.ahead, self.own = ahead, own


@dataclass(frozen=True)
class Subscriber:
    """Who waits: whose turn it takes, the API process that it asked, and its request there.

    What was asked for ``by_address`` may be asked for again, and is worth keeping; a new image is its caller's.
    """

    caller: str
    inbox: str
    request: str
    by_address: bool = False

    def __str__(self) -> str:
        return f"{self.inbox}/{_BY_ADDRESS if self.by_address else _NEW}{self.request}"


@dataclass(frozen=True)
class MicroBatch:
    """Addresses of one version that a worker has in hand; those ``by_address`` may be asked for again."""

    number: str
    version: str
    addresses: list[Address]
    by_address: frozenset[Address]


class Producer:
    """The waiting side, in an API process."""

    def __init__(self, client: redis.asyncio.Redis, settings: Settings) -> None:
        self.limit = settings.max_waiting_images
        self._pipeline = PipelineBatcher(client)
        self._submit = client.register_script(_SUBMIT)
        self._cancel = client.register_script(_CANCEL)

    async def submit(
        self,
        subscriber: Subscriber,
        version: str,
        addresses: Sequence[Address],
        patience_seconds: float,
        workers: int,
        again: bool = False,
    ) -> bool:
        """Lines addresses up, those that somebody waits for already behind nobody; whether to send a shift's message.

        What waits in all is bounded, and within that each caller and each version by what is free: whoever floods the
        line leaves room for the rest (dynamic thresholds: Choudhury and Hahne 1998, doi:10.1109/90.664262).

        Args:
            patience_seconds: how long the subscriber waits.
            workers: how many sampling workers are alive.
            again: these were accepted before, and are not refused now.

        Raises:
            Overloaded: they could not be ready in time, or there is no room for them.
        """
        words: list[Any] = [
            version,
            subscriber.caller,
            str(subscriber),
            int(patience_seconds * 1000),
            int(again),
            self.limit,
            workers,
            MARGIN,
        ]
        words += map(str, addresses)
        accepted, *answer = await self._pipeline.script(self._submit, words)
        if not accepted:
            raise Overloaded(*map(float, answer))
        return bool(answer[0])

    async def cancel(self, subscriber: Subscriber, version: str, addresses: Sequence[Address]) -> None:
        """The subscriber waits for these no longer; what nobody waits for is not made."""
        words = [version, str(subscriber), *map(str, addresses)]
        await self._pipeline.script(self._cancel, words)


class Consumer:
    """The making side: one worker."""

    def __init__(self, client: Redis, worker: str) -> None:
        self.redis, self.worker = client, worker
        self._begin = client.register_script(_BEGIN)
        self._take = client.register_script(_TAKE)
        self._deliver = client.register_script(_DELIVER)
        self._end = client.register_script(_END)

    def begin(self) -> None:
        """A shift has begun: another one may be sent for. What an earlier one failed to deliver is lined up again."""
        self._begin([keys.SAMPLER_WOKEN, keys.ACTIVE_SAMPLERS], [self.worker, int(SILENT_SECONDS * 1000)])

    def take(self) -> MicroBatch | None:
        """The next micro-batch of what callers wait for; the worker counts as at work."""
        words: list[Any] = [self.worker, MICRO_BATCH, int(SILENT_SECONDS * 1000)]
        taken = self._take([keys.ACTIVE_SAMPLERS], words)
        if not taken:
            return None
        number, version, texts, kinds = cast(tuple[bytes, bytes, list[bytes], bytes], taken)
        addresses = [Address.parse(each.decode()) for each in texts]
        named = zip(addresses, kinds.decode(), strict=True)
        by_address = frozenset(address for address, kind in named if kind == _BY_ADDRESS)
        return MicroBatch(number.decode(), version.decode(), addresses, by_address)

    def deliver(self, batch: MicroBatch, payloads: Mapping[Address, bytes], rate: float) -> list[str]:
        """Hands each address's payload to all who wait for it; gives their requests. ``rate``: images/s, 0 unknown."""
        words: list[Any] = [self.worker, batch.number, batch.version, f"{rate:.3f}"]
        told = self._deliver(args=[*words, *(word for each in payloads.items() for word in (str(each[0]), each[1]))])
        return [request.decode() for request in cast(list[bytes], told)]

    def end(self, more: bool = False) -> bool:
        """A shift is over, and there is ``more`` to draw for stock; whether to send the next one's message.

        What it failed to deliver is lined up again.
        """
        return bool(self._end([keys.ACTIVE_SAMPLERS], [self.worker, int(more)]))


def recover(client: Redis) -> bool:
    """Lines up again what workers that died had in hand; whether to send a shift's message."""
    return bool(client.eval(_RECOVER, 1, keys.workers(SAMPLE)))


def waiting_images(client: Redis) -> int:
    """Addresses that somebody waits for."""
    return int(client.get(f"{keys.WORK}total") or 0)
