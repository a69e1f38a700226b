"""The only way from the API to the workers: task names, their arguments, and who listens."""

import base64
import os
import re
import secrets
import socket
from typing import Any, cast

from celery import Celery
from redis import Redis

from flawsmith.core.domain.records import Job
from flawsmith.core.live import keys
from flawsmith.core.live.connections import ANSWER_SECONDS, CONNECT_SECONDS, HEALTH_CHECK_SECONDS, redis_url
from flawsmith.core.settings import Settings

TRAIN, SAMPLE = "train", "sample"
QUEUES = (TRAIN, SAMPLE)
TRAIN_SEGMENT = "flawsmith.train_segment"
SAMPLE_TASK = "flawsmith.sample"

LIVE_SECONDS = 6.0  # a worker that was silent for so long counts as dead
HEARTBEATS = 4  # within that time
FORGOTTEN_SECONDS = 600  # after which a dead worker's name is dropped

# By the server's clock, which all machines share.
_ANNOUNCE = """
local now = redis.call('time')
local till = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3]
redis.call('hset', KEYS[1], ARGV[1], string.format('%.0f', till) .. ' ' .. ARGV[2])
"""

HIGHEST_PRIORITY = 9
_PROCESS = secrets.token_hex(2)
_PRIORITY_MARK = "\x06\x16"  # kombu's, between a queue's name and the priority of one of its lists


def broker_settings(settings: Settings) -> dict[str, Any]:
    """What both ends of the queue must agree on. The reasons stand in docs/architecture.md."""
    url = redis_url(settings)
    return {
        "broker_url": url.replace("unix://", "redis+socket://"),
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
        "task_default_queue": TRAIN,
    }


class Queues:
    """The sending end. Publishing blocks for a millisecond: from an event loop, call it in a thread."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self.redis = redis
        self._celery = Celery("flawsmith-client", set_as_current=False)
        self._celery.conf.update(broker_settings(settings))

    def expect_segment(self, job_id: str) -> str:
        """Names the one message that may train the job next; every earlier one does nothing from now on."""
        token = secrets.token_hex(8)
        self.redis.set(keys.job_segment(job_id), token)
        return token

    def send_segment(self, job: Job, request_id: str, token: str | None = None) -> None:
        """Sends the message of that token, or of a new one, to the tail of those of the job's priority."""
        token = token or self.expect_segment(job.id)
        arguments = {"job_id": job.id, "token": token, "request_id": request_id}
        self._send(TRAIN_SEGMENT, TRAIN, arguments, job.config.get("priority", 0))

    def take_segment(self, job_id: str, token: str) -> bool:
        """Whether the message of this token may train, which it then does alone: no later one was named."""
        script = (
            "local expected = redis.call('get', KEYS[1])"
            " if expected and expected ~= ARGV[1] then return 0 end redis.call('del', KEYS[1]) return 1"
        )
        return bool(self.redis.eval(script, 1, keys.job_segment(job_id), token))

    def waiting_segments(self, job_ids: list[str]) -> set[str]:
        """Those of the jobs whose next segment's message waits in the queue."""
        tokens = self.redis.mget([keys.job_segment(job_id) for job_id in job_ids]) if job_ids else []
        pipe = self.redis.pipeline(transaction=False)
        for name in _lists(TRAIN):
            pipe.lrange(name, 0, -1)
        messages = b"".join(message for each in pipe.execute() for message in each)
        bodies = b"".join(base64.b64decode(body) for body in re.findall(rb'"body": ?"([^"]*)"', messages))
        pairs = zip(job_ids, tokens, strict=True)
        return {job_id for job_id, token in pairs if token and cast(bytes, token) in bodies}

    def wake_sampler(self, request_id: str) -> None:
        """Has a sampling worker make what callers wait for, and then what the stocks lack."""
        self._send(SAMPLE_TASK, SAMPLE, {"request_id": request_id})

    def live_workers(self, queue: str) -> dict[str, str]:
        """Name of each live worker of a queue -> host:port of its metrics."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.time()
        pipe.hgetall(keys.workers(queue))
        (seconds, microseconds), said = pipe.execute()
        now = seconds * 1000 + microseconds // 1000
        live = {}
        for name, value in said.items():
            until, _, metrics = value.decode().partition(" ")
            if int(until) > now:
                live[name.decode()] = metrics
            elif int(until) < now - FORGOTTEN_SECONDS * 1000:
                self.redis.hdel(keys.workers(queue), name)
        return live

    def waiting(self, queue: str) -> int:
        """How many messages of a queue no worker has taken yet."""
        pipe = self.redis.pipeline(transaction=False)
        for name in _lists(queue):
            pipe.llen(name)
        return sum(pipe.execute())

    def _send(self, name: str, queue: str, arguments: dict[str, Any], priority: int = HIGHEST_PRIORITY) -> None:
        self._celery.send_task(
            name,
            kwargs=arguments,
            queue=queue,
            priority=HIGHEST_PRIORITY - priority,  # of kombu's Redis lists, that of 0 is read first
            retry=True,
            retry_policy={"max_retries": 2, "interval_start": 0.1},
        )


def _lists(queue: str) -> list[str]:
    """The Redis lists that hold a queue's messages, the most urgent first."""
    marks = ["", *(f"{_PRIORITY_MARK}{number}" for number in range(1, HIGHEST_PRIORITY + 1))]
    return [f"{keys.PREFIX}:broker:{queue}{mark}" for mark in marks]


def worker_name(queue: str) -> str:
    """This process, as jobs and health name it: ``train-host-1a2b-4711``; no later one on its host has its name."""
    return f"{queue}-{socket.gethostname()}-{_PROCESS}-{os.getpid()}"


def announce(redis: Redis, queue: str, name: str, metrics: str) -> None:
    """Says for the next `LIVE_SECONDS` that this worker lives."""
    redis.eval(_ANNOUNCE, 1, keys.workers(queue), name, metrics, int(LIVE_SECONDS * 1000))


def withdraw(redis: Redis, queue: str, name: str) -> None:
    """Says that this worker leaves."""
    redis.hdel(keys.workers(queue), name)
