"""The Celery application of the workers, and what a process does beside its tasks: heartbeat, metrics, reaper."""

import gc
import logging
import os
import socket
import threading
import warnings
from contextlib import nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_ready, worker_shutdown, worker_shutting_down
from prometheus_client import REGISTRY
from redis.exceptions import RedisError

from flawsmith.core.cpus import usable_cpus
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.housekeeping.schedule import start_retention
from flawsmith.core.live import broker_transport
from flawsmith.core.live.connections import QUICK_SECONDS, connect
from flawsmith.core.live.task_queues import (
    HEARTBEATS,
    LIVE_SECONDS,
    QUEUES,
    SAMPLE,
    TRAIN,
    announce,
    broker_settings,
    queue_url,
    withdraw,
    worker_name,
)
from flawsmith.core.logs import OutageLog, configure_logging
from flawsmith.core.metrics import BuildInfo
from flawsmith.core.services import Services
from flawsmith.core.settings import get_settings
from flawsmith.core.store.opened import QUICK_STORE_SECONDS
from flawsmith.core.tracing import configure_tracing
from flawsmith.core.unknown_settings import warn_of_unknown_settings
from flawsmith.models.inference.full_precision import full_precision
from flawsmith.models.presets.registry import BUILDERS
from flawsmith.worker.device_metrics import DeviceMetrics
from flawsmith.worker.devices.device_key import device_key, limit_memory
from flawsmith.worker.devices.device_locks import DeviceLocks
from flawsmith.worker.devices.sampling_first import DeviceFlags, SamplingPasses, TrainingTurns
from flawsmith.worker.operations_server import Heartbeat, serve_operations

log = logging.getLogger(__name__)

SAMPLING_NICENESS = 15  # the API, which answers from the image pools, goes first; training goes last
EVERY_ADDRESS = ("0.0.0.0", "::")
TASKS = {TRAIN: "flawsmith.worker.segments", SAMPLE: "flawsmith.worker.sampling"}  # by queue, the module with its task
SHUTDOWN_SECONDS = 9.0  # after SIGTERM: `docker stop` kills after ten

stopping = threading.Event()
"""Set by SIGTERM: a segment saves a checkpoint after its current step and requeues its job."""

broker_transport.install()
app = Celery("flawsmith")
app.conf.update(
    broker_settings(get_settings()),
    # The broker keeps a message until its task is done, so that it survives a killed process.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # A busy worker reserves no message that an idle one could run.
    worker_prefetch_multiplier=1,
    # One task at a time, in the main process: CUDA does not survive a fork, and signals reach the task itself.
    worker_pool="solo",
    worker_concurrency=1,
    worker_hijack_root_logger=False,
    # A task that lost its connection continues: its lease decides whether it may write, so it is safe to run twice.
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


@lru_cache
def services() -> Services:
    """The services of this process; calls wait until Redis has restarted."""
    return Services(get_settings())


@lru_cache
def quick_services() -> Services:
    """The same with short timeouts and no retries, for loops that must not wait for Redis."""
    return Services(get_settings(), 0, QUICK_SECONDS, QUICK_STORE_SECONDS)


def threads() -> int:
    """CPU threads of this worker."""
    return get_settings().threads or usable_cpus()


def device() -> torch.device:
    """Where this worker's networks live."""
    name = get_settings().device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@lru_cache
def device_locks() -> DeviceLocks:
    """The devices that this training worker can compute with, its own one first, and who uses them."""
    own, most = device(), get_settings().train_devices
    count = torch.cuda.device_count() if own.type == "cuda" else max(1, most)
    numbers = [own.index or 0, *(each for each in range(count) if each != (own.index or 0))]
    names = [f"{own.type}:{each}" for each in numbers]
    return DeviceLocks(_device_folder(), socket.gethostname(), names[: most or None])


@lru_cache
def training_turns() -> TrainingTurns:
    """When this training worker may begin a step beside sampling on its devices."""
    locks, first = device_locks(), _sampling_first()
    return TrainingTurns(_device_folder(), lambda: map(device_key, (locks.own, *locks.borrowed)) if first else ())


@lru_cache
def sampling_passes() -> SamplingPasses:
    """Tells the training workers on this sampling worker's device of its passes."""
    return SamplingPasses(DeviceFlags(_device_folder(), device_key(str(device()))) if _sampling_first() else None)


def _device_folder() -> Path:
    return get_settings().data_dir / "devices"


def _sampling_first() -> bool:
    chosen = get_settings().sampling_first
    return device().type != "cpu" if chosen == "auto" else chosen == "on"


def run_worker(queue: str) -> None:
    """Runs one worker on one queue until SIGTERM; blocks."""
    settings = get_settings()
    if queue not in QUEUES:
        raise ValueError(f"unknown queue '{queue}'; the queues are {', '.join(QUEUES)}")
    PRESETS.load(settings.extra_preset_packages)
    BUILDERS.load(settings.extra_preset_packages)
    os.nice(settings.train_niceness if queue == TRAIN else SAMPLING_NICENESS)
    # Celery warns the superuser of pickled messages; this one accepts JSON only.
    warnings.filterwarnings("ignore", category=SecurityWarning)

    def begin_log(**_: Any) -> None:
        configure_logging(settings, queue)
        warn_of_unknown_settings()

    setup_logging.connect(begin_log, weak=False)  # in place of Celery's own
    configure_tracing(settings, queue)
    app.conf.update(broker_settings(settings, queue), include=[TASKS[queue]])
    torch.set_num_threads(threads())
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # jobs that ask to be deterministic need it
    limit_memory(device(), settings.device_memory_share)
    REGISTRY.register(BuildInfo())
    REGISTRY.register(DeviceMetrics(device()))
    heartbeat = Heartbeat()
    port = serve_operations(heartbeat, settings.metrics_host, settings.metrics_port)
    # A server on every address is reached by the name of the machine or container.
    host = socket.gethostname() if settings.metrics_host in EVERY_ADDRESS else settings.metrics_host
    metrics = f"{host}:{port}"
    _announce_when_ready(queue, metrics, heartbeat)
    options = [f"--queues={queue}", f"--hostname={worker_name(queue)}", f"--loglevel={settings.log_level}"]
    with full_precision() if queue == SAMPLE else nullcontext():
        app.worker_main(["--quiet", "worker", *options, "--without-gossip", "--without-mingle", "--without-heartbeat"])


def _announce_when_ready(queue: str, metrics: str, heartbeat: Heartbeat) -> None:
    """Sends heartbeats from the moment the worker accepts tasks until it shuts down."""
    name, left = worker_name(queue), threading.Event()
    devices = len(device_locks().devices) if queue == TRAIN else 1
    outage = OutageLog(log, "reach Redis")

    def beat() -> None:
        while not left.is_set():
            try:
                announce(quick_services().queues.server(queue), queue, name, metrics, devices)
                heartbeat.accepted()
                outage.over()
            except RedisError as error:  # the next heartbeat may succeed
                outage.met(error)
            left.wait(LIVE_SECONDS / HEARTBEATS)

    def ready(**_: Any) -> None:
        log.info("worker %s accepts tasks; device %s, metrics on http://%s/metrics", name, device(), metrics)
        # Imported objects stay for ever; without this, each full collection would scan them and pause the work.
        gc.collect()
        gc.freeze()
        threading.Thread(target=beat, name="heartbeat", daemon=True).start()
        quick_services().start_reaper(left)
        if queue == TRAIN:  # which goes last: nobody waits for an answer of its
            start_retention(services(), left)

    def leave(**_: Any) -> None:
        left.set()
        with suppress(RedisError):
            withdraw(connect(get_settings(), retries=0, url=queue_url(get_settings(), queue)), queue, name)

    worker_ready.connect(ready, weak=False)
    worker_shutdown.connect(leave, weak=False)


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    """Lets the current task end. After `SHUTDOWN_SECONDS` the process exits anyway, which a job survives as a kill."""
    stopping.set()
    cut_off = threading.Timer(SHUTDOWN_SECONDS, os._exit, [1])
    cut_off.daemon = True
    cut_off.start()
