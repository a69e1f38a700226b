"""The only way from the API to the workers: task names, their arguments, and which workers are live."""

import os
import secrets
import socket
from collections.abc import Iterable
from typing import Any

from celery import Celery
from redis import Redis

from flawsmith.core.domain.jobs import Job, JobKind
from flawsmith.core.live import keys
from flawsmith.core.live.broker_transport import RUN_SEGMENT, SAMPLE_TASK
from flawsmith.core.live.connections import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    HEALTH_CHECK_SECONDS,
    image_redis_url,
    redis_url,
    tls_options,
)
from flawsmith.core.live.scripts import script
from flawsmith.core.live.segment_tokens import SegmentTokens
from flawsmith.core.settings import Settings
from flawsmith.core.tracing import HEADER, current_traceparent

TRAIN, SAMPLE = "train", "sample"
QUEUES = (TRAIN, SAMPLE)

LIVE_SECONDS = 6.0  # a worker without a heartbeat for so long counts as dead
HEARTBEATS = 4  # in that time
FORGOTTEN_SECONDS = 600  # after which the name of a dead worker is dropped


HIGHEST_PRIORITY = 9
_PROCESS = secrets.token_hex(2)


def queue_url(settings: Settings, queue: str) -> str:
    """URL of the server that has a queue's messages and knows its workers."""
    return (image_redis_url if queue == SAMPLE else redis_url)(settings)


def broker_settings(settings: Settings, queue: str = TRAIN) -> dict[str, Any]:
    """What both ends of a queue must agree on. docs/architecture.md has the reasons."""
    url = queue_url(settings, queue)
    return {
        "broker_url": url.replace("unix://", "redis+socket://"),
        "broker_use_ssl": tls_options(settings, url) or None,
        "broker_transport_options": {
            "global_keyprefix": f"{keys.PREFIX}:broker:",
            "priority_steps": list(range(HIGHEST_PRIORITY + 1)),
            "visibility_timeout": max(180.0, 4 * settings.segment_seconds),
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 30,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "socket_keepalive": not url.startswith("unix://"),
            "health_check_interval": HEALTH_CHECK_SECONDS,
            "retry_on_timeout": True,
        },
        "broker_connection_retry_on_startup": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "worker_enable_remote_control": False,  # nobody uses it, and whoever can write into Redis could
        "task_default_queue": TRAIN,
    }


class Queues:
    """Sends messages to the workers. It blocks for about a millisecond: from an event loop, call it in a thread.

    ``image_redis`` is the second server, if there is one. It has the queue of the sampling workers, and knows these.
    """

    def __init__(
        self, settings: Settings, redis: Redis, kinds: Iterable[JobKind], image_redis: Redis | None = None
    ) -> None:
        self._servers = {TRAIN: redis, SAMPLE: image_redis or redis}
        self._kinds = {kind.name: kind for kind in kinds}
        self._tokens = {queue: SegmentTokens(redis, queue) for queue in QUEUES}
        self._celery = dict.fromkeys(QUEUES, _celery_client(settings, TRAIN))
        if image_redis is not None and image_redis is not redis:
            self._celery[SAMPLE] = _celery_client(settings, SAMPLE)

    def issue_segment(self, job: Job) -> str:
        """The token of the job's next segment. The message of every earlier token does nothing from now on."""
        kind = self._kinds[job.kind]
        return self._tokens[kind.queue].issue(job, kind.index)

    def send_segment(self, job: Job, request_id: str, token: str | None = None) -> str:
        """Enqueues the message of this token, or of a new one, behind all messages of the job's priority.

        Returns the segment's id, which is in the worker's log lines.
        """
        arguments = {"job_id": job.id, "token": token or self.issue_segment(job), "request_id": request_id}
        return self._send(RUN_SEGMENT, self._kinds[job.kind].queue, arguments, job.priority)

    def redeem_segment(self, job: Job, token: str) -> bool:
        """Whether the message with this token may run the job's segment; no other message may."""
        return self._tokens[self._kinds[job.kind].queue].redeem(job.id, token)

    def wake_sampler(self, request_id: str) -> None:
        """Has a sampling worker make the images that callers wait for, then refill the image pools."""
        self._send(SAMPLE_TASK, SAMPLE, {"request_id": request_id})

    def server(self, queue: str) -> Redis:
        """The server that knows a queue's workers."""
        return self._servers[queue]

    def waiting(self, queue: str) -> int:
        """How many messages were sent to a queue and not begun yet."""
        if queue == SAMPLE:
            return int(self.server(SAMPLE).exists(f"{keys.SAMPLER}woken"))
        return self._tokens[queue].count()

    def live_workers(self, queue: str) -> dict[str, str]:
        """Name of each live worker of a queue -> host:port of its metrics."""
        pipe = self.server(queue).pipeline(transaction=False)
        pipe.time()
        pipe.hgetall(keys.workers(queue))
        (seconds, microseconds), announced = pipe.execute()
        now = seconds * 1000 + microseconds // 1000
        live = {}
        for name, value in announced.items():
            until, _, metrics = value.decode().partition(" ")
            if int(until) > now:
                live[name.decode()] = metrics
            elif int(until) < now - FORGOTTEN_SECONDS * 1000:
                self.server(queue).hdel(keys.workers(queue), name)
                self.server(queue).hdel(keys.worker_devices(queue), name)
        return live

    def most_devices(self, queue: str) -> int | None:
        """How many devices one of the live workers has for one job, at most; None while none is live."""
        live, counts = self.live_workers(queue), self.server(queue).hgetall(keys.worker_devices(queue))
        return max((int(counts.get(name.encode(), 1)) for name in live), default=None)

    def _send(self, name: str, queue: str, arguments: dict[str, Any], priority: int = HIGHEST_PRIORITY) -> str:
        sent = self._celery[queue].send_task(
            name,
            kwargs=arguments,
            queue=queue,
            headers={HEADER: traceparent} if (traceparent := current_traceparent()) else None,
            priority=HIGHEST_PRIORITY - priority,  # kombu's Redis transport delivers 0 first
            retry=True,
            retry_policy={"max_retries": 2, "interval_start": 0.1},
        )
        return str(sent.id)


def _celery_client(settings: Settings, queue: str) -> Celery:
    """Sends messages to the server of a queue."""
    client = Celery("flawsmith-client", set_as_current=False)
    client.conf.update(broker_settings(settings, queue))
    return client


def worker_name(queue: str) -> str:
    """This process in records and metrics, such as ``train-host-1a2b-4711``; no later process has the same name."""
    return f"{queue}-{socket.gethostname()}-{_PROCESS}-{os.getpid()}"


def announce(redis: Redis, queue: str, name: str, metrics: str, devices: int = 1) -> None:
    """A worker's heartbeat: it counts as live for the next `LIVE_SECONDS`. ``devices``: that it has for one job."""
    if devices > 1:
        redis.hset(keys.worker_devices(queue), name, devices)
    redis.eval(script("worker_announce"), 1, keys.workers(queue), name, metrics, int(LIVE_SECONDS * 1000))


def withdraw(redis: Redis, queue: str, name: str) -> None:
    """The worker is no longer live."""
    redis.hdel(keys.workers(queue), name)
    redis.hdel(keys.worker_devices(queue), name)
