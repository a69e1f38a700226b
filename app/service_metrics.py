"""Gauges of the whole service's state in Redis: the same from every API process of every host."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from prometheus_client.core import GaugeMetricFamily
from redis.exceptions import RedisError

from flawsmith.core.domain.jobs import Job
from flawsmith.core.live.service_state import QueueState, ServiceState, ServiceStateReader
from flawsmith.core.live.task_queues import SAMPLE, TRAIN
from flawsmith.core.metrics import MOST_MODELS, OTHER

MAIN, IMAGES = "main", "images"  # labels of the servers
MOST_RUNNING = 100  # jobs whose progress is shown: the newest
MOST_LOSSES = 12  # of a job

Families = list[GaugeMetricFamily]


class ServiceMetrics:
    """The gauges, read at each scrape in one round trip to each server. A server that is away has only its
    `flawsmith_redis_up`. Without a second one for images, the first has all.
    """

    def __init__(self, reader: ServiceStateReader, image_reader: ServiceStateReader | None = None) -> None:
        self.readers = {MAIN: reader} | ({IMAGES: image_reader} if image_reader else {})

    def families(self) -> Families:
        states = {server: _read(reader) for server, reader in self.readers.items()}
        main, images = states[MAIN], states.get(IMAGES, states[MAIN])
        queues = {TRAIN: main.queues[TRAIN]} if main else {}
        found = _of_servers(states)
        if main:
            found += _of_jobs(main)
        if images:
            queues[SAMPLE] = images.queues[SAMPLE]
            found += _of_sampling(images)
        return [*found, *(_of_queues(queues) if queues else [])]


def _read(reader: ServiceStateReader) -> ServiceState | None:
    with suppress(RedisError):
        return reader.read()
    return None


def _of_servers(states: Mapping[str, ServiceState | None]) -> Families:
    """Of each Redis server, whether it answered and its memory."""
    up = GaugeMetricFamily("flawsmith_redis_up", "Whether Redis answered this scrape", labels=["server"])
    used = GaugeMetricFamily("flawsmith_redis_memory_used_bytes", "Memory that Redis uses", labels=["server"])
    most = GaugeMetricFamily(
        "flawsmith_redis_memory_max_bytes", "Memory that Redis may use; 0: no limit", labels=["server"]
    )
    for server, state in states.items():
        up.add_metric([server], int(state is not None))
        if state:
            used.add_metric([server], state.memory_used)
            most.add_metric([server], state.memory_max)
    return [up, used, most] if any(states.values()) else [up]


def _of_jobs(state: ServiceState) -> Families:
    jobs = GaugeMetricFamily("flawsmith_jobs", "Jobs by kind and state", labels=["kind", "state"])
    for names, count in state.jobs.items():
        jobs.add_metric(names, count)
    messages = _single(
        "flawsmith_webhook_messages", "Messages of webhooks that are not delivered", state.webhook_messages
    )
    return [jobs, messages, *_of_running(state.running)]


def _of_queues(queues: dict[str, QueueState]) -> Families:
    messages = GaugeMetricFamily("flawsmith_queue_messages", "Messages that no worker has begun", labels=["queue"])
    oldest = GaugeMetricFamily(
        "flawsmith_queue_oldest_age_seconds", "Time since the oldest entry of a queue was enqueued", labels=["queue"]
    )
    workers = GaugeMetricFamily(
        "flawsmith_workers", "Workers by state; a lost one stopped without saying so", labels=["queue", "state"]
    )
    heartbeat = GaugeMetricFamily(
        "flawsmith_worker_heartbeat_age_seconds", "Time since the oldest of the workers' heartbeats", labels=["queue"]
    )
    for name, queue in queues.items():
        messages.add_metric([name], queue.messages)
        oldest.add_metric([name], queue.oldest_seconds)
        for state, count in queue.workers.items():
            workers.add_metric([name, state], count)
        if queue.heartbeat_seconds is not None:
            heartbeat.add_metric([name], queue.heartbeat_seconds)
    return [messages, oldest, workers, heartbeat]


def _of_sampling(state: ServiceState) -> Families:
    labels = ["model", "version"]
    images = GaugeMetricFamily("flawsmith_pool_images", "Images in the pools of a version", labels=labels)
    target = GaugeMetricFamily(
        "flawsmith_pool_target_images", "Images that the pools of a version should hold", labels=labels
    )
    shown, others = state.pools[:MOST_MODELS], state.pools[MOST_MODELS:]
    for pool in shown:
        images.add_metric(_model_and_version(pool.version), pool.images)
        target.add_metric(_model_and_version(pool.version), pool.target)
    if others:
        images.add_metric([OTHER, ""], sum(pool.images for pool in others))
        target.add_metric([OTHER, ""], sum(pool.target for pool in others))
    failing = GaugeMetricFamily(
        "flawsmith_failing_sampling_workers", "Live workers that fail to sample a version", labels=labels
    )
    for version, count in sorted(state.failing.items())[:MOST_MODELS]:
        failing.add_metric(_model_and_version(version), count)
    waiting = _single("flawsmith_waiting_images", "Images that requests wait for", state.waiting_images)
    return [images, target, failing, waiting]


def _of_running(jobs: Iterable[Job]) -> Families:
    """How far running jobs are. Jobs of all kinds have progress, some have a speed, a model and losses."""
    labels = ["job_id", "kind", "model", "worker"]
    info = GaugeMetricFamily("flawsmith_running_job_info", "1 for each running job", labels=labels)
    step = GaugeMetricFamily("flawsmith_running_job_step", "Steps that a running job has made", labels=["job_id"])
    total = GaugeMetricFamily("flawsmith_running_job_total_steps", "Steps of a running job in all", labels=["job_id"])
    speed = GaugeMetricFamily(
        "flawsmith_running_job_images_per_second", "Images that a running job trains on in a second", labels=["job_id"]
    )
    losses = GaugeMetricFamily("flawsmith_running_job_loss", "Losses of a running job", labels=["job_id", "loss"])
    for job in sorted(jobs, key=lambda each: each.created_at, reverse=True)[:MOST_RUNNING]:
        info.add_metric([job.id, job.kind, str(getattr(job, "model", "")), job.worker or ""], 1)
        step.add_metric([job.id], job.progress.step)
        total.add_metric([job.id], job.progress.total_steps)
        if (rate := getattr(job.progress, "images_per_second", None)) is not None:
            speed.add_metric([job.id], rate)
        for name, value in list(getattr(job, "losses", {}).items())[:MOST_LOSSES]:
            losses.add_metric([job.id, name], value)
    return [info, step, total, speed, losses]


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text)
    family.add_metric([], value)
    return family


def _model_and_version(reference: str) -> Sequence[str]:
    """Labels of a reference such as ``scratches@2``."""
    model, _, version = reference.partition("@")
    return [model, version]
