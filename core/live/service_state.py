"""The state of the whole service in Redis, as `GET /metrics` shows it: read in one round trip, all at one moment."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from flawsmith.core.domain.jobs import Job, JobKind, JobState, valid_job_id
from flawsmith.core.domain.quality_floor import parse_sampling_name
from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script
from flawsmith.core.live.task_queues import LIVE_SECONDS, QUEUES, SAMPLE

MOST_RUNNING = 50  # jobs of a kind whose progress is read: those that were made last
MOST_POOLS = 2000  # those that were asked for images last


@dataclass(frozen=True)
class QueueState:
    """One queue and its workers.

    Attributes:
        messages: that no worker has begun.
        oldest_seconds: since the oldest entry was enqueued; 0 where nothing waits.
        heartbeat_seconds: since the oldest of the workers' heartbeats; None without workers.
        workers: how many are `busy`, `idle` or `lost`: without a heartbeat, though they did not say that they stop.
    """

    messages: int
    oldest_seconds: float
    heartbeat_seconds: float | None
    workers: dict[str, int]


@dataclass(frozen=True)
class PoolState:
    """The image pools of one version: their images, and how many they should hold."""

    version: str
    images: int
    target: int


@dataclass(frozen=True)
class ServiceState:
    """What Redis knows.

    Attributes:
        queues: by name.
        waiting_images: that callers wait for.
        failing: version -> live workers that fail to sample it.
        pools: those that were asked for images last come first.
        jobs: (kind, state) -> how many.
        running: the newest running jobs.
        memory_used: of Redis, in bytes.
        memory_max: of Redis, in bytes; 0: no limit.
        webhook_messages: that are not delivered.
    """

    queues: dict[str, QueueState]
    waiting_images: int
    failing: dict[str, int]
    pools: list[PoolState]
    jobs: dict[tuple[str, str], int]
    running: list[Job]
    memory_used: int
    memory_max: int
    webhook_messages: int


class ServiceStateReader:
    """Reads the state; ``kinds`` are all kinds of job."""

    def __init__(self, redis: Redis, kinds: Iterable[JobKind]) -> None:
        self._read = redis.register_script(script("service_state"))
        self._kinds = {kind.id_prefix: kind for kind in kinds}
        states = (JobState.RUNNING, *(each for each in JobState if each is not JobState.RUNNING))
        self._indexes = [(kind, state) for state in states for kind in self._kinds.values()]
        of_queues = [key(queue) for queue in QUEUES for key in (keys.workers, keys.outstanding_segments, keys.leases)]
        prefixes = [keys.SAMPLING_QUEUE, keys.SAMPLER, keys.POOLS, keys.job("")]
        indexes = [keys.jobs_in(kind.index, state) for kind, state in self._indexes]
        self._keys = [*prefixes, keys.WEBHOOKS_DUE, *of_queues, *indexes]

    def read(self) -> ServiceState:
        """Raises RedisError."""
        arguments = [len(QUEUES), len(self._kinds), MOST_RUNNING, MOST_POOLS]
        now, queues, sampling, pools, counts, records, memory, webhooks = cast(
            Sequence[Any], self._read(self._keys, arguments)
        )
        waiting, woken, oldest_image, active, failing = sampling
        states = {name: _queue(now, *found) for name, found in zip(QUEUES, queues, strict=True)}
        live = _live(now, queues[QUEUES.index(SAMPLE)][0])
        states[SAMPLE] = _sample_queue(states[SAMPLE], woken, _age(now, oldest_image), live & set(active))
        info = _memory(memory)
        return ServiceState(
            queues=states,
            waiting_images=waiting,
            failing=_failing(failing, live),
            pools=_pools(pools),
            jobs={(kind.name, state): count for (kind, state), count in zip(self._indexes, counts, strict=True)},
            running=[job for each in records if (job := self._job(each))],
            memory_used=int(info.get("used_memory", 0)),
            memory_max=int(info.get("maxmemory", 0)),
            webhook_messages=webhooks,
        )

    def _job(self, record: bytes) -> Job | None:
        """None for a record that cannot be read, so that it does not hide the others."""
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # somebody else wrote into Redis
            identity = json.loads(record)["id"]
            if valid_job_id(identity) and (kind := self._kinds.get(identity.partition("-")[0])):
                return kind.record.model_validate_json(record)
        return None


def _queue(now: int, workers: list[bytes], messages: int, oldest: bytes, leases: int) -> QueueState:
    """The state of a queue whose workers are busy while they hold a lease."""
    announced = _announced(workers)
    live = sum(until > now for until in announced.values())
    busy = min(live, leases)
    heartbeats = [(now - until) / 1000 + LIVE_SECONDS for until in announced.values()]
    counts = {"busy": busy, "idle": live - busy, "lost": len(announced) - live}
    return QueueState(messages, _age(now, oldest), max(0.0, *heartbeats) if heartbeats else None, counts)


def _sample_queue(queue: QueueState, messages: int, oldest_seconds: float, active: set[bytes]) -> QueueState:
    """The same of the sampling queue, whose workers are busy while they run a sampling task, and hold no lease."""
    live = queue.workers["busy"] + queue.workers["idle"]
    counts = {"busy": len(active), "idle": live - len(active), "lost": queue.workers["lost"]}
    return QueueState(messages, oldest_seconds, queue.heartbeat_seconds, counts)


def _announced(workers: list[bytes]) -> dict[bytes, int]:
    """Until when (ms) each worker counts as live."""
    pairs = zip(workers[::2], workers[1::2], strict=True)
    return {name: int(value.partition(b" ")[0]) for name, value in pairs}


def _live(now: int, workers: list[bytes]) -> set[bytes]:
    return {name for name, until in _announced(workers).items() if until > now}


def _age(now: int, at: bytes) -> float:
    """Seconds since a time in ms; 0 for no time."""
    return max(0.0, (now - float(at)) / 1000) if at else 0.0


def _failing(noted: list[bytes], live: set[bytes]) -> dict[str, int]:
    found = {
        (worker, parse_sampling_name(name.decode()).version)
        for worker, _, name in (each.partition(b"\n") for each in noted)
        if worker in live
    }
    counts: dict[str, int] = {}
    for _, version in found:
        counts[version] = counts.get(version, 0) + 1
    return counts


def _pools(found: list[Any]) -> list[PoolState]:
    """The pools of each version, summed, whatever its quality floor, in all its defect types."""
    totals: dict[str, tuple[int, int]] = {}
    for name, images, target in zip(found[::3], found[1::3], found[2::3], strict=True):
        version = parse_sampling_name(name.decode().partition("\n")[0]).version
        before = totals.get(version, (0, 0))
        totals[version] = before[0] + images, before[1] + target
    return [PoolState(version, *each) for version, each in totals.items()]


def _memory(info: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in info.decode().splitlines())
    return {name: value for name, _, value in lines}
