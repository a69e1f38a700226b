"""Small things in Redis that nothing else removes: what was counted for versions and callers that are gone."""

from collections.abc import Iterator

from redis import Redis

from flawsmith.core.domain.jobs import JobState
from flawsmith.core.domain.quality_floor import parse_sampling_name
from flawsmith.core.live import keys
from flawsmith.core.live.job_repository import CALLER_SECONDS
from flawsmith.core.services import Services
from flawsmith.core.store.registry import UnknownModel

SCANNED_AT_ONCE = 1000
MOST_NOTED = 100_000  # changes of jobs that nobody reads: no process delivers webhooks


def drop_counters(services: Services) -> None:
    """Drops the seed counters of deleted versions, and of callers the jobs that have begun.

    A version's number is never used again. Where one is published at this moment, its new seeds are counted on from
    the clock, so that losing a counter repeats none.
    """
    known = {f"{model.name}@{number}" for model in services.registry.models() for number in model.versions}
    for prefix in (keys.NEXT_SEED, keys.next_type("")):
        for key in _scan(services.image_redis, f"{prefix}*"):
            if _version(key.removeprefix(prefix)) not in known and not _exists(services, key.removeprefix(prefix)):
                services.image_redis.delete(key)
    for kind in services.jobs.kinds.values():
        for key in _scan(services.redis, keys.jobs_of_caller("*", kind.index)):
            with services.redis.pipeline() as pipe:
                pipe.zinterstore(key, [key, keys.jobs_in(kind.index, JobState.QUEUED)])
                pipe.expire(key, CALLER_SECONDS)
                pipe.execute()
    if services.redis.scard(keys.CHANGED_JOBS) > MOST_NOTED:
        services.redis.delete(keys.CHANGED_JOBS)


def _version(name: str) -> str:
    """``scratches@2`` of ``scratches@2>=0.2 LF pits``."""
    return parse_sampling_name(name.partition("\n")[0]).version


def _exists(services: Services, name: str) -> bool:
    """Whether the version is there by now."""
    try:
        services.registry.resolve(_version(name))
    except UnknownModel:
        return False
    return True


def _scan(client: Redis, pattern: str) -> Iterator[str]:
    yield from (each.decode() for each in client.scan_iter(pattern, count=SCANNED_AT_ONCE))
