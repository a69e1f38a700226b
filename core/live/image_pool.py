"""Image pools: encoded images that workers make ahead, each given to one caller only.

There is one pool for each model version and defect type. How many images it should hold follows from the rate at which
they are asked for, within bounds of bytes. When half of that is left, a sampling task refills it. A server that
restarted may have lost which images it gave out last, so a pool is good for one run of the server and is emptied in
the next.

Each change is one Lua script, see `lua/`. A pool's name is ``version LF defect type``, where a version with a quality
floor has it in its name (`sampling_name`). Redis keys, below `keys.POOLS`:

| key           | what                                                                                          |
|---------------|-----------------------------------------------------------------------------------------------|
| `names`       | sorted set: names of the pools, by when (ms) each was last asked for images                   |
| `images:NAME` | list: ready images, each ``seed:png``, the next to be taken first                             |
| `state:NAME`  | hash: `run` (the server's), `asked` since `at` (ms), `rate` (images/s), `item_bytes`,         |
|               | `target` (images it should hold), `low` (at which a refill begins)                            |
| `put:TOKEN`   | string: exists while a client may repeat the call that put images into a pool                 |
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from redis import Redis

from flawsmith.core.domain.addresses import Address, seed_floor
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.quality_floor import parse_sampling_name
from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script
from flawsmith.core.live.task_queues import SAMPLE
from flawsmith.core.settings import Settings

LEAST = 4 * MICRO_BATCH  # images that a pool should hold, however seldom it is asked for one
COVER_SECONDS = 10.0  # of demand that a pool should hold
RATE_SECONDS = 10.0  # over which the demand is averaged
REPEATED_SECONDS = 900.0  # longer than a client repeats a call
IDLE_SECONDS = 900.0  # a pool that was not asked for images for so long is dropped

_POOL_KEYS = [keys.POOLS, keys.NEXT_SEED, keys.SAMPLER, keys.workers(SAMPLE)]
_NAMES, _IMAGES, _STATE = (f"{keys.POOLS}{each}" for each in ("names", "images:", "state:"))


@dataclass(frozen=True)
class TakeResult:
    """What a caller was given: an address for each image, and the encoded image (PNG) where one was ready.

    ``run`` is the server's run id: images may be given back in the same run only.
    """

    images: list[tuple[Address, bytes | None]]
    wake_sampler: bool
    run: bytes


@dataclass(frozen=True)
class RefillRequest:
    """New addresses, of one type, that a version's pool needs; reserved in one run of the server."""

    version: str
    addresses: list[Address]
    run: bytes


class ImagePool:
    """The API process's side: takes images."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._take = client.register_script(script("pool_take"))
        self._put = client.register_script(script("pool_put"))

    async def take(
        self, version: str, classes: Sequence[str], defect_type: str | None, count: int, *, ready: bool = True
    ) -> TakeResult:
        """Takes ``count`` images that no caller was given before, of each class in turn unless a type is given.

        An image that is not ready comes as a new address; with ``ready=False`` all of them do.
        """
        types = [defect_type] if defect_type else classes
        names = [_pool(version, each) for each in types]
        arguments: list[Any] = [count, seed_floor(), int(ready), *names]
        answer = await self._take([keys.next_type(version), *_POOL_KEYS], arguments)
        turn, wake_sampler = int(answer[0]), bool(answer[1])
        by_type = [_images(*answer[2 + 2 * number : 4 + 2 * number]) for number in range(len(types))]
        images = []
        for position in range(turn, turn + count):
            number = position % len(types)
            seed, png = next(by_type[number])
            images.append((Address(types[number], seed), png))
        return TakeResult(images, wake_sampler, answer[-1])

    async def give_back(self, version: str, images: Sequence[tuple[Address, bytes]], run: bytes) -> None:
        """Puts back images that were taken and not given to a caller; they are the next to be taken."""
        by_type: dict[str, list[bytes]] = {}
        for address, png in reversed(images):
            by_type.setdefault(address.defect_type, []).append(_item(address, png))
        for defect_type, items in by_type.items():
            await self._put(*_put_once("lpush", _pool(version, defect_type), items, run))


class PoolReplenisher:
    """The worker's side: refills pools, drops idle ones and says when one runs low."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.redis, self.settings = client, settings
        self._plan = client.register_script(script("pool_plan"))
        self._put = client.register_script(script("pool_put"))

    def next_refill(
        self, count: int = MICRO_BATCH, version: str = "", excluded: Sequence[str] = ()
    ) -> RefillRequest | None:
        """At most ``count`` addresses, of one type, for the pool that needs images most; None when all are full.

        With ``version``, only its pools are considered; the pools of ``excluded`` versions never are.
        """
        found = self._call_plan("refill", count, version, excluded)
        if not found:
            return None
        name, first_seed, count_text, run = cast(list[bytes], found)
        reference, _, defect_type = name.decode().partition("\n")
        first, needed = int(first_seed), int(count_text)
        return RefillRequest(reference, [Address(defect_type, seed) for seed in range(first, first + needed)], run)

    def refill(self, request: RefillRequest, pngs: Sequence[bytes]) -> None:
        """Puts the requested images into their pool, unless the server was restarted since the request."""
        name = _pool(request.version, request.addresses[0].defect_type)
        items = [_item(*each) for each in zip(request.addresses, pngs, strict=True)]
        self._put(*_put_once("rpush", name, items, request.run))

    def check(self) -> bool:
        """Drops idle pools; returns whether to wake the sampler for one that runs low."""
        return bool(self._call_plan("check") == 1)

    def drop(self, version: str) -> None:
        """Removes the pools of a version, whatever its quality floor was."""
        for name in self._names():
            if parse_sampling_name(name.partition("\n")[0]).version == version:
                pipe = self.redis.pipeline()
                pipe.zrem(_NAMES, name)
                pipe.delete(_IMAGES + name, _STATE + name)
                pipe.execute()

    def image_counts(self) -> dict[str, int]:
        """Ready images of each version."""
        names = self._names()
        pipe = self.redis.pipeline(transaction=False)
        for name in names:
            pipe.llen(_IMAGES + name)
        counts: dict[str, int] = {}
        for name, count in zip(names, pipe.execute(), strict=True):
            version = parse_sampling_name(name.partition("\n")[0]).version
            counts[version] = counts.get(version, 0) + count
        return counts

    def _names(self) -> list[str]:
        return [name.decode() for name in cast(list[bytes], self.redis.zrange(_NAMES, 0, -1))]

    def _call_plan(self, action: str, count: int = MICRO_BATCH, version: str = "", excluded: Sequence[str] = ()) -> Any:
        bounds = [self.settings.stock_bytes_per_model, self.settings.stock_bytes]
        times = [IDLE_SECONDS, COVER_SECONDS, RATE_SECONDS]
        return self._plan(_POOL_KEYS, [action, version, count, LEAST, seed_floor(), *bounds, *times, *excluded])


def _pool(version: str, defect_type: str) -> str:
    return f"{version}\n{defect_type}"


def _put_once(push: str, name: str, items: list[bytes], run: bytes) -> tuple[list[str], list[Any]]:
    """Keys and arguments of a `pool_put` that does nothing when a client repeats it."""
    pool_keys = [f"{keys.POOLS}put:{secrets.token_hex(8)}", keys.POOLS]
    return pool_keys, [push, name, int(REPEATED_SECONDS * 1000), run, *items]


def _item(address: Address, png: bytes) -> bytes:
    return b"%d:%b" % (address.seed, png)


def _images(items: list[bytes], first_seed: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Seeds with the images that were ready; then reserved seeds without."""
    for item in items:
        seed, _, png = item.partition(b":")
        yield int(seed), png
    reserved = int(first_seed)
    while True:
        yield reserved, None
        reserved += 1
