"""Readiness: which parts of the service are down, and which fail while others work."""

import threading
import time
from dataclasses import dataclass, field

from redis.exceptions import OutOfMemoryError, RedisError

from flawsmith.core.live.connections import probe_write
from flawsmith.core.live.sampling_queue import failing_workers
from flawsmith.core.live.task_queues import QUEUES, SAMPLE
from flawsmith.core.services import Services

REMEMBERED_SECONDS = 1.0  # anybody may call /readyz, and a look writes to the disk


@dataclass(frozen=True)
class State:
    """``missing``: parts that are down, so that the service is not ready. ``warnings``: what works badly, in words."""

    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Readiness:
    """The state of the service's parts. One look answers all calls of the next second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = State()
        self._until = 0.0  # on the monotonic clock

    def state(self, services: Services) -> State:
        """The state, at most `REMEMBERED_SECONDS` old. Blocks while another thread looks."""
        with self._lock:
            if time.monotonic() >= self._until:
                missing = missing_parts(services)
                self._state = State(missing, [] if missing else _warnings(services))
                self._until = time.monotonic() + REMEMBERED_SECONDS
            return self._state


def missing_parts(services: Services) -> list[str]:
    """The parts that are down: the artifact store, a Redis (away, or full), and queues without a live worker."""
    missing = [] if services.store.writable() else ["artifact store"]
    for name, server in services.redis_servers.items():
        try:
            probe_write(server)
            queues = [queue for queue in QUEUES if services.queues.server(queue) is server]
            missing += [
                f"no live worker for queue '{each}'" for each in queues if not services.queues.live_workers(each)
            ]
        except OutOfMemoryError:  # it answers reads; the workers' heartbeats are refused as well
            missing.append(f"{name}: full, it refuses writes; raise its maxmemory")
        except RedisError:
            missing.append(name)
    return missing


def _warnings(services: Services) -> list[str]:
    """The sampling workers that fail to make images of a version."""
    try:
        failing = failing_workers(services.image_redis, services.queues.live_workers(SAMPLE))
    except RedisError:
        return []
    return [f"worker {worker} fails to sample {version}; its log has the reason" for worker, version in failing]
