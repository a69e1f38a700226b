"""The Celery application of the workers, and what a worker process does beside its tasks."""

import gc
import logging
import os
import socket
import threading
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import Any

import torch
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_ready, worker_shutdown, worker_shutting_down
from prometheus_client import start_http_server
from redis.exceptions import RedisError

from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.live.connections import QUICK_SECONDS, connect
from flawsmith.core.live.reaper import Reaper
from flawsmith.core.live.task_queues import (
    HEARTBEATS,
    LIVE_SECONDS,
    QUEUES,
    SAMPLE,
    TRAIN,
    announce,
    broker_settings,
    withdraw,
    worker_name,
)
from flawsmith.core.logs import configure_logging
from flawsmith.core.services import Services
from flawsmith.core.settings import get_settings
from flawsmith.models.presets.registry import BUILDERS
from flawsmith.worker.determinism import choose_kernels

log = logging.getLogger(__name__)

NICENESS = {SAMPLE: 15, TRAIN: 19}  # whoever is answered from stock must not wait for what is being made or trained
EVERY_ADDRESS = ("0.0.0.0", "::")
LONGEST_GOODBYE = 9.0  # seconds after SIGTERM: `docker stop` kills after ten

stopping = threading.Event()
"""Set when the process was told to end: a segment checkpoints and hands its job back at its next step."""

app = Celery("flawsmith", include=["flawsmith.worker.training", "flawsmith.worker.sampling"])
app.conf.update(
    broker_settings(get_settings()),
    # A message is given back to the queue until its task is done, also when the process is killed.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # A busy worker hoards no message that an idle one could take.
    worker_prefetch_multiplier=1,
    # One task at a time in the process that holds the GPU: no fork after CUDA, and signals reach the task itself.
    worker_pool="solo",
    worker_concurrency=1,
    worker_hijack_root_logger=False,
    # A task that lost its connection goes on; it is safe to run twice, and its lease says whether it may write.
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


@lru_cache
def services() -> Services:
    """This process's own."""
    return Services(get_settings())


@lru_cache
def quick_services() -> Services:
    """This process's own for the training loop, which must not wait for a Redis that is away."""
    return Services(get_settings(), redis_retries=0, answer_seconds=QUICK_SECONDS)


def threads() -> int:
    """CPU threads of this worker."""
    return get_settings().threads or os.cpu_count() or 1


def device() -> torch.device:
    """Where this worker's networks live."""
    name = get_settings().device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def run_worker(queue: str) -> None:
    """Runs one worker on one queue until SIGTERM; blocks."""
    settings = get_settings()
    if queue not in QUEUES:
        raise ValueError(f"unknown queue '{queue}'; the queues are {', '.join(QUEUES)}")
    PRESETS.load(settings.extra_preset_packages)
    BUILDERS.load(settings.extra_preset_packages)
    os.nice(NICENESS[queue])
    # Celery warns root of pickled messages; here they are JSON, and nothing else is accepted.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    setup_logging.connect(lambda **_: configure_logging(settings, queue), weak=False)  # in place of Celery's own
    torch.set_num_threads(threads())
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # jobs that ask to be deterministic need it
    server, _ = start_http_server(settings.metrics_port, settings.metrics_host)
    # Where it listens on every address, scrapers reach it by the machine's, or the container's, name.
    host = socket.gethostname() if settings.metrics_host in EVERY_ADDRESS else settings.metrics_host
    metrics = f"{host}:{server.server_port}"
    _announce_when_ready(queue, metrics)
    options = [f"--queues={queue}", f"--hostname={worker_name(queue)}", f"--loglevel={settings.log_level}"]
    app.worker_main(["--quiet", "worker", *options, "--without-gossip", "--without-mingle", "--without-heartbeat"])


def _announce_when_ready(queue: str, metrics: str) -> None:
    """From the moment the worker takes tasks until it leaves, says so to Redis; a killed one falls silent."""
    name, left = worker_name(queue), threading.Event()

    def beat() -> None:
        while not left.is_set():
            try:
                announce(quick_services().redis, queue, name, metrics)
            except RedisError as error:  # while Redis is away nobody can read it either; the next beat tells
                log.warning("cannot reach Redis: %s", error)
            left.wait(LIVE_SECONDS / HEARTBEATS)

    def ready(**_: Any) -> None:
        log.info("worker %s takes tasks; device %s, metrics on http://%s/metrics", name, device(), metrics)
        if queue == TRAIN:
            choose_kernels(False)  # the first call imports 70 MB: not in a job's turn, where memory may be short
        # What was imported stays: to look through all of it again and again would halt every pass meanwhile.
        gc.collect()
        gc.freeze()
        threading.Thread(target=beat, name="heartbeat", daemon=True).start()
        Reaper(quick_services()).start(left)

    def leave(**_: Any) -> None:
        left.set()
        with suppress(RedisError):
            withdraw(connect(get_settings(), retries=0), queue, name)

    worker_ready.connect(ready, weak=False)
    worker_shutdown.connect(leave, weak=False)


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    """Lets the task in hand end; what is not done in time is cut off, as it would be by a kill, and nothing is lost."""
    stopping.set()
    cut_off = threading.Timer(LONGEST_GOODBYE, os._exit, [1])
    cut_off.daemon = True
    cut_off.start()
