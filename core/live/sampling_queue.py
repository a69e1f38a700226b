"""The sampling queue: images that callers wait for, in fair order and bounded number, each delivered to every caller.

An API process enqueues addresses. A sampling worker takes them a micro-batch at a time and delivers each image to all
its subscribers, through the inbox of each one's API process. Within a version, callers take turns, one image each.
Versions take turns, one micro-batch each, and no caller is first twice in a row while another waits. What a worker
that died had in flight is requeued, and an API process enqueues again what Redis lost: an address is the same bytes
whichever worker makes it, so making one twice does no harm. A micro-batch that a worker fails to make goes back once
for another worker, and a worker that fails gets no more of that version while others can make it.

Each change is one Lua script, see `lua/`. The Celery message that starts a sampling task says nothing but that there is
work; `lua/wake_sampler.lua` decides when to send one. Redis keys, below `keys.SAMPLING_QUEUE`; V is a version:

| key                | what                                                                      |
|--------------------|---------------------------------------------------------------------------|
| `total`            | string: addresses that callers wait for, in flight or not                 |
| `callers`          | hash: caller -> its part of `total`                                       |
| `rates`            | hash: version -> images a second, as one worker measured it               |
| `versions`         | list: versions with queued addresses, the next first                      |
| `last-caller`      | string: the caller who was first in the last micro-batch                  |
| `batches`          | string: number of the last micro-batch                                    |
| `enqueued`         | sorted set: version, LF, address that callers wait for, by when, in ms    |
| `V:deadlines`      | sorted set: addresses that callers wait for, by their deadline in ms      |
| `V:subscribers`    | hash: address -> its caller, then each subscriber, tab-separated          |
| `V:returned`       | set: addresses that a worker failed to make and gave back                 |
| `V:callers`        | list: callers with queued addresses, the next first                       |
| `V:queued:CALLER`  | list: a caller's queued addresses                                         |
| `failing`          | hash: worker, LF, V -> until when, in ms, the worker takes no more of V   |
| `consumers`        | set: workers that may have addresses in flight                            |
| `in-flight:WORKER` | hash: micro-batch -> version and addresses, LF-separated                  |
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio
from redis import Redis

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.domain.quality_floor import parse_sampling_name
from flawsmith.core.live import keys
from flawsmith.core.live.pipeline_batcher import PipelineBatcher
from flawsmith.core.live.scripts import script
from flawsmith.core.live.task_queues import SAMPLE
from flawsmith.core.settings import Settings

FAILURE_MARK = b"!"  # begins a payload that says why there is no image; a PNG begins with 0x89
GONE_MARK = FAILURE_MARK + b"404 "  # … because the version was deleted
UNUSABLE_MARK = FAILURE_MARK + b"409 "  # … because the version's files make none
NOT_FOUND_MARK = b"?"  # begins a payload that says what the candidates of an address have, as JSON
BELOW_FLOOR_MARK = b"<"  # begins a payload that has the score of an image below the version's quality floor
ACTIVE_SECONDS = 5.0  # an active worker that asks for no micro-batch for so long no longer counts as active
INBOX_SECONDS = 60  # an inbox that nobody reads expires
MARGIN = 2.5  # factor on the expected time of the work ahead, so that what is accepted is ready in time on a bad day

_BY_ADDRESS, _NEW = "a", "n"  # kinds of a subscriber
_QUEUE = keys.SAMPLING_QUEUE
_QUEUE_AND_SAMPLER = [_QUEUE, keys.SAMPLER]
_QUEUE_AND_WAKING = [*_QUEUE_AND_SAMPLER, keys.workers(SAMPLE)]


class Overloaded(Exception):
    """The queue refuses addresses: ``ahead`` seconds of others' work, ``own`` of these, as far as rates are known."""

    def __init__(self, ahead: float, own: float) -> None:
        super().__init__(f"{ahead:.1f} s of work ahead")
        self.ahead, self.own = ahead, own


@dataclass(frozen=True)
class Subscriber:
    """One request that waits for images: its caller, the inbox of its API process, and its number there.

    Images that it asked for ``by_address`` may be asked for again and are worth caching; a new image is its caller's.
    """

    caller: str
    inbox: str
    request: str
    by_address: bool = False

    def __str__(self) -> str:
        return f"{self.inbox}/{_BY_ADDRESS if self.by_address else _NEW}{self.request}"


@dataclass(frozen=True)
class MicroBatch:
    """Addresses of one version that a worker has in flight; those ``by_address`` may be asked for again.

    ``waited_seconds``: since the one was enqueued that has waited longest.
    """

    number: str
    version: str
    addresses: list[Address]
    by_address: frozenset[Address]
    waited_seconds: float = 0.0


class Producer:
    """The API process's side of the queue."""

    def __init__(self, client: redis.asyncio.Redis, settings: Settings) -> None:
        self.limit = settings.max_waiting_images
        self._pipeline = PipelineBatcher(client)
        self._enqueue = client.register_script(script("queue_enqueue"))
        self._cancel = client.register_script(script("queue_cancel"))

    async def enqueue(
        self,
        subscriber: Subscriber,
        version: str,
        addresses: Sequence[Address],
        patience_seconds: float,
        workers: int,
        resubmission: bool = False,
    ) -> bool:
        """Enqueues addresses; returns whether to wake the sampler. An address already queued only gains a subscriber.

        The queue is bounded. Each caller may have as many addresses as are free, so a caller that floods the queue
        leaves room for the others (dynamic thresholds: Choudhury and Hahne 1998, doi:10.1109/90.664262).

        Args:
            subscriber: receives the images.
            version: reference such as ``scratches@2``.
            addresses: at least one.
            patience_seconds: how long the subscriber waits.
            workers: live sampling workers.
            resubmission: the queue accepted these before, and does not refuse them now.

        Raises:
            Overloaded: they could not be ready in time, or there is no room for them.
        """
        arguments: list[Any] = [
            version,
            subscriber.caller,
            str(subscriber),
            int(patience_seconds * 1000),
            int(resubmission),
            self.limit,
            workers,
            MARGIN,
        ]
        arguments += map(str, addresses)
        accepted, *answer = await self._pipeline.script(self._enqueue, _QUEUE_AND_WAKING, arguments)
        if not accepted:
            raise Overloaded(*map(float, answer))
        return bool(answer[0])

    async def cancel(self, subscriber: Subscriber, version: str, addresses: Sequence[Address]) -> None:
        """Unsubscribes from addresses. Addresses without subscribers are not made."""
        arguments = [version, str(subscriber), *map(str, addresses)]
        await self._pipeline.script(self._cancel, [_QUEUE], arguments)


class Consumer:
    """A sampling worker's side of the queue."""

    def __init__(self, client: Redis, worker: str) -> None:
        self.redis, self.worker = client, worker
        self._begin_task = client.register_script(script("queue_begin_task"))
        self._next_batch = client.register_script(script("queue_next_batch"))
        self._deliver = client.register_script(script("queue_deliver"))
        self._give_back = client.register_script(script("queue_give_back"))
        self._end_task = client.register_script(script("queue_end_task"))

    def begin_task(self) -> None:
        """Begins a sampling task: the worker is active. What an earlier task of it failed to deliver is requeued."""
        self._begin_task(_QUEUE_AND_SAMPLER, [self.worker, int(ACTIVE_SECONDS * 1000)])

    def next_batch(self) -> MicroBatch | None:
        """The next micro-batch, now in flight; None when nothing is queued. Shows that the worker is active."""
        arguments: list[Any] = [self.worker, MICRO_BATCH, int(ACTIVE_SECONDS * 1000)]
        found = self._next_batch(_QUEUE_AND_WAKING, arguments)
        if not found:
            return None
        number, version, texts, kinds, waited = cast(tuple[bytes, bytes, list[bytes], bytes, int], found)
        addresses = [Address.parse(each.decode()) for each in texts]
        with_kinds = zip(addresses, kinds.decode(), strict=True)
        by_address = frozenset(address for address, kind in with_kinds if kind == _BY_ADDRESS)
        return MicroBatch(number.decode(), version.decode(), addresses, by_address, waited / 1000)

    def deliver(self, batch: MicroBatch, payloads: Mapping[Address, bytes], rate: float) -> list[str]:
        """Delivers each address's payload to all its subscribers; returns their requests, one for each payload.

        Args:
            batch: what `next_batch` gave.
            payloads: encoded images, reasons that begin with `FAILURE_MARK` or one of its kinds, scores with
                `BELOW_FLOOR_MARK`, or measured values with `NOT_FOUND_MARK`.
            rate: images a second that this worker makes of the version; 0: unknown.
        """
        arguments: list[Any] = [self.worker, batch.number, batch.version, f"{rate:.3f}", INBOX_SECONDS]
        for address, payload in payloads.items():
            arguments += [str(address), payload]
        requests = self._deliver([_QUEUE, keys.inbox("")], arguments)
        return [request.decode() for request in cast(list[bytes], requests)]

    def give_back(self, version: str, batch: MicroBatch | None, pause_seconds: float) -> tuple[bool, list[Address]]:
        """Notes that this worker fails to make images of a version, and gives back its micro-batch, for another worker.

        Args:
            version: reference such as ``scratches@2``.
            batch: what `next_batch` gave; None where only a pool was to be refilled.
            pause_seconds: for so long this worker takes no more of the version, if another can make it.

        Returns:
            Whether to wake the sampler, and the addresses that no other worker is left to make: deliver them a reason.
        """
        number = batch.number if batch else ""
        arguments: list[Any] = [self.worker, version, number, int(pause_seconds * 1000)]
        wake, *left = cast(list[Any], self._give_back(_QUEUE_AND_WAKING, arguments))
        return bool(wake), [Address.parse(each.decode()) for each in left]

    def recovered(self, version: str) -> None:
        """This worker no longer fails to make images of a version."""
        self.redis.hdel(f"{_QUEUE}failing", f"{self.worker}\n{version}")

    def end_task(self, more: bool = False) -> bool:
        """Ends a sampling task and requeues what it failed to deliver; returns whether to wake the sampler again.

        ``more``: an image pool still needs images.
        """
        return bool(self._end_task(_QUEUE_AND_WAKING, [self.worker, int(more)]))


def recover(client: Redis) -> bool:
    """Requeues what workers that died had in flight; returns whether to wake the sampler."""
    return bool(client.register_script(script("queue_recover"))(_QUEUE_AND_WAKING))


def failing_workers(client: Redis, live: Collection[str]) -> list[tuple[str, str]]:
    """The live sampling workers that fail to make images of a version, with that version."""
    fields = cast(list[bytes], client.hkeys(f"{_QUEUE}failing"))
    noted = [cast(tuple[str, str], tuple(field.decode().split("\n"))) for field in fields]
    if gone := [f"{worker}\n{version}" for worker, version in noted if worker not in live]:
        client.hdel(f"{_QUEUE}failing", *gone)
    return sorted({(worker, parse_sampling_name(version).version) for worker, version in noted if worker in live})


def waiting_images(client: Redis) -> int:
    """Number of addresses that callers wait for."""
    return int(client.get(f"{_QUEUE}total") or 0)
