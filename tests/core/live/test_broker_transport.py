"""A worker that meets messages which nobody of Flawsmith has sent."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.conftest import until

from flawsmith.core.domain.job_kinds.training import KIND
from flawsmith.core.live.task_queues import Queues
from flawsmith.core.settings import Settings

QUEUE = "flawsmith:broker:sample"
# As worker/celery.py, without PyTorch.
WORKER = """
import logging, os, time
from celery import Celery
from celery.signals import setup_logging
from flawsmith.core.live.broker_transport import SAMPLE_TASK, install
from flawsmith.core.live.task_queues import broker_settings
from flawsmith.core.settings import get_settings
setup_logging.connect(lambda **_: logging.basicConfig(level="INFO"), weak=False)
install()
app = Celery("test")
app.conf.update(broker_settings(get_settings()), task_acks_late=True, worker_pool="solo", worker_concurrency=1)
app.conf.worker_prefetch_multiplier = 1
@app.task(name=SAMPLE_TASK)
def sample(request_id):
    logging.info("sampled for %s.", request_id)
    while not os.path.exists(os.environ.get("GATE", "/")):
        time.sleep(0.05)
app.worker_main(["--quiet", "worker", "--queues=sample", "--loglevel=info", "--without-gossip", "--without-mingle"])
"""
SENT: dict[str, Any] = {  # as Celery 5.7 sends it
    "body": base64.b64encode(b'[[], {"request_id": "r"}, {"callbacks": null}]').decode(),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    "headers": {"task": "flawsmith.sample", "id": "i", "retries": 0, "eta": None, "timelimit": [None, None]},
    "properties": {
        "delivery_info": {"exchange": "", "routing_key": "sample"},
        "body_encoding": "base64",
        "delivery_tag": "t",
    },
}


def changed(value: Any, *path: str) -> str:
    """The message with another value at this path; without the last key if the value is `...`."""
    message = deepcopy(SENT)
    place = message
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(message)


def with_body(text: str) -> str:
    return changed(base64.b64encode(text.encode()).decode(), "body")


MALFORMED: list[str | bytes] = [
    *("{}", "[]", "null", "1", '"text"', "not json", b"\xff\xfe", b"", "[" * 100_000),
    *map(with_body, ("{}", "[]", "null", "1", "[{}]", "[1, 2, 3]", "{", "[[], {}, 1]", '[["a"], {}, {}]')),
    *map(with_body, ('[[], {"request_id": 7}, {}]', '[[], {"request_id": "r"}, {"chain": [1]}]')),
    *(changed(wrong, "body") for wrong in (..., None, 5, "%%%")),
    *(changed(wrong, "properties") for wrong in (..., None, [])),
    *(changed(wrong, "properties", "delivery_tag") for wrong in (..., None, [1], {})),
    *(changed(wrong, "properties", "delivery_info") for wrong in (..., None, [])),
    changed("rot13", "properties", "body_encoding"),
    *(changed(wrong, "headers") for wrong in (..., None, {}, [])),
    *(changed(wrong, "headers", "task") for wrong in (..., None, [1], "os.system")),
    *(changed(wrong, "headers", "id") for wrong in (..., [1])),
    *(changed(wrong, "headers", "eta") for wrong in ("never", {})),
    *(changed(wrong, "headers", "expires") for wrong in ("never", {})),
    changed("x", "headers", "timelimit"),
    changed("gzip", "headers", "compression"),
    *(changed(wrong, "content-type") for wrong in (None, [1], "x/y", "application/x-python-serialize")),
    changed("utf-99", "content-encoding"),
]


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    log: Path

    def logs(self, text: str) -> bool:
        return text in self.log.read_text()


@pytest.fixture
def worker(redis_server: Path, empty_redis: redis.Redis, tmp_path: Path) -> Iterator[Worker]:
    log = tmp_path / "log"
    environment = {**os.environ, "FLAWSMITH_DATA_DIR": str(redis_server)}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", WORKER], env=environment, stdout=output, stderr=output)
    yield Worker(process, log)
    process.terminate()
    process.wait(20)


def test_a_malformed_message_is_logged_once_and_dropped_and_those_behind_it_are_served(
    worker: Worker, redis_server: Path, empty_redis: redis.Redis
) -> None:
    queues = Queues(Settings(data_dir=redis_server), empty_redis, [KIND])
    for number, message in enumerate(MALFORMED):
        empty_redis.lpush(QUEUE, message)
        queues.wake_sampler(request_id=f"honest-{number}")
    last = len(MALFORMED) - 1
    until(lambda: worker.logs(f"sampled for honest-{last}.") or worker.process.poll() is not None, 60, "all are served")
    text = worker.log.read_text()
    assert [number for number in range(last + 1) if f"sampled for honest-{number}." not in text] == []
    assert text.count("rejected a malformed message") == len(MALFORMED)
    assert "Traceback" not in text
    assert worker.process.poll() is None
    assert empty_redis.pubsub_channels() == [], "nobody can shut the worker down by a message"
    until(lambda: empty_redis.exists(QUEUE, "flawsmith:broker:unacked") == 0, 10, "the last message is acknowledged")


def test_a_worker_that_cannot_acknowledge_its_message_goes_on_once_redis_is_back(tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    environment = {**os.environ, "FLAWSMITH_DATA_DIR": str(tmp_path), "GATE": str(gate)}

    def start(*command: str) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen([sys.executable, *command], env=environment, stdout=output, stderr=output)

    def start_redis() -> subprocess.Popen[bytes]:
        (tmp_path / "redis" / "redis.sock").unlink(missing_ok=True)
        server = start("-m", "flawsmith.cli.main", "redis")
        until((tmp_path / "redis" / "redis.sock").exists, 20, "Redis listens")
        return server

    server, worker = start_redis(), Worker(start("-c", WORKER), log)
    try:
        client = redis.Redis(unix_socket_path=str(tmp_path / "redis" / "redis.sock"))
        queues = Queues(Settings(data_dir=tmp_path), client, [KIND])
        queues.wake_sampler(request_id="first")
        until(lambda: worker.logs("sampled for first."), 30, "the task runs")
        server.kill()
        server.wait()
        gate.touch()  # the task ends
        until(lambda: worker.logs("cannot acknowledge message"), 30, "the worker meets that Redis is away")
        server = start_redis()
        queues.wake_sampler(request_id="second")
        until(lambda: worker.logs("sampled for second."), 60, "the next message is served")
    finally:
        worker.process.terminate()
        worker.process.wait(20)
        server.terminate()
        server.wait(20)
