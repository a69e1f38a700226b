"""The state of the whole service, as a scrape reads it."""

import time
from typing import Any

import pytest
import redis
from tests.core.live.queue_clients import BlockingProducer, announced, deliver_next, subscriber

from flawsmith.core.domain.job_kinds.training import TrainingProgress
from flawsmith.core.job_kinds import job_kinds
from flawsmith.core.live import keys, service_state
from flawsmith.core.live.leases import Lease
from flawsmith.core.live.sampling_queue import Consumer
from flawsmith.core.live.service_state import ServiceState, ServiceStateReader
from flawsmith.core.live.task_queues import SAMPLE, TRAIN, announce


@pytest.fixture
def reader(empty_redis: redis.Redis) -> ServiceStateReader:
    return ServiceStateReader(empty_redis, job_kinds())


def running_job(client: redis.Redis, **fields: Any) -> str:
    """Puts a running training job into Redis; returns its id."""
    [kind] = [each for each in job_kinds() if each.name == "training"]
    names = {"model": "steel", "dataset": "ds-1", "preset": "dcgan"}
    job = kind.new_job(config={}, progress=TrainingProgress(step=3, total_steps=9), **names | fields)
    client.set(keys.job(job.id), job.model_dump_json())
    client.zadd(keys.jobs_in(kind.index, "running"), {job.id: 0})
    return job.id


def test_an_empty_service_is_all_zeros(reader: ServiceStateReader) -> None:
    state = reader.read()
    for queue in (TRAIN, SAMPLE):
        found = state.queues[queue]
        assert (found.messages, found.oldest_seconds, found.heartbeat_seconds) == (0, 0.0, None)
        assert found.workers == {"busy": 0, "idle": 0, "lost": 0}
    assert (state.waiting_images, state.failing, state.pools, state.running) == (0, {}, [], [])
    assert set(state.jobs.values()) == {0}
    assert state.memory_used > 0


def test_workers_are_busy_idle_or_lost(
    reader: ServiceStateReader, empty_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for queue, name in ((TRAIN, "train-1"), (TRAIN, "train-2"), (SAMPLE, "sample-1"), (SAMPLE, "sample-2")):
        announce(empty_redis, queue, name, "host:1")
    empty_redis.hset(keys.workers(TRAIN), "train-dead", f"{int(time.time() * 1000) - 20_000} host:2")
    lease = Lease(empty_redis, running_job(empty_redis), TRAIN)
    assert lease.acquire()
    Consumer(empty_redis, "sample-1").begin_task()
    try:
        state = reader.read()
    finally:
        lease.release()
    assert state.queues[TRAIN].workers == {"busy": 1, "idle": 1, "lost": 1}
    assert state.queues[SAMPLE].workers == {"busy": 1, "idle": 1, "lost": 0}
    assert state.queues[TRAIN].heartbeat_seconds == pytest.approx(26, abs=2)  # it counted as live for six seconds
    assert state.queues[SAMPLE].heartbeat_seconds == pytest.approx(0, abs=2)


def test_the_oldest_image_that_a_caller_waits_for_has_an_age(
    reader: ServiceStateReader, producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    def queue() -> tuple[int, float]:
        state = reader.read()
        return state.waiting_images, state.queues[SAMPLE].oldest_seconds

    producer.enqueue(subscriber("a"), range(0, 20))
    [oldest, *_] = empty_redis.zrange(f"{keys.SAMPLING_QUEUE}enqueued", 0, -1)
    empty_redis.zincrby(f"{keys.SAMPLING_QUEUE}enqueued", -30_000, oldest)
    assert queue() == (20, pytest.approx(30, abs=2))
    batch = consumer.next_batch()
    assert batch is not None
    assert batch.waited_seconds == pytest.approx(30, abs=2)
    consumer.deliver(batch, dict.fromkeys(batch.addresses, b"png"), 0.0)
    assert queue() == (4, pytest.approx(0, abs=2))
    deliver_next(consumer)
    assert queue() == (0, 0.0)


def test_an_address_that_an_earlier_release_left_behind_has_no_age(
    reader: ServiceStateReader, empty_redis: redis.Redis
) -> None:
    empty_redis.zadd(f"{keys.SAMPLING_QUEUE}enqueued", {"m@1\n1:pits": 1})
    assert reader.read().queues[SAMPLE].oldest_seconds == 0.0
    assert not empty_redis.exists(f"{keys.SAMPLING_QUEUE}enqueued")


def test_running_jobs_are_read_unless_their_records_cannot_be(
    reader: ServiceStateReader, empty_redis: redis.Redis
) -> None:
    readable = running_job(empty_redis, losses={"generator_loss": 0.5})
    for number, record in enumerate((b"{", b"[]", b'{"id": "job-x"}', b'{"id": 3}')):
        empty_redis.set(keys.job(f"job-{number}"), record)
        empty_redis.zadd(keys.jobs_in("jobs", "running"), {f"job-{number}": 0})
    state = reader.read()
    assert [(job.id, job.progress.step) for job in state.running] == [(readable, 3)]
    assert state.jobs["training", "running"] == 5


def test_pools_of_all_types_and_floors_of_a_version_are_one(
    reader: ServiceStateReader, empty_redis: redis.Redis
) -> None:
    for number, name in enumerate(("m@1\npits", "m@1\ncracks", "m@1>=0.2\npits", "m@2\npits")):
        empty_redis.zadd(f"{keys.POOLS}names", {name: number})
        empty_redis.rpush(f"{keys.POOLS}images:{name}", "1:png", "2:png")
        empty_redis.hset(f"{keys.POOLS}state:{name}", "target", 64)
    assert [(each.version, each.images, each.target) for each in reader.read().pools] == [
        ("m@2", 2, 64),
        ("m@1", 6, 192),
    ]


@pytest.mark.parametrize("workers", [1, 3])
def test_only_live_workers_that_fail_count(reader: ServiceStateReader, empty_redis: redis.Redis, workers: int) -> None:
    for number in range(workers):
        announced(empty_redis, f"sample-{number}")
        Consumer(empty_redis, f"sample-{number}").give_back("m@1", None, 60.0)
    Consumer(empty_redis, "sample-dead").give_back("m@1", None, 60.0)
    assert reader.read().failing == {"m@1": workers}


def test_much_state_is_read_in_one_command(empty_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ServiceStateReader(empty_redis, job_kinds())
    for number in range(300):
        running_job(empty_redis)
        empty_redis.zadd(f"{keys.POOLS}names", {f"m@{number}\npits": number})
    reader.read()  # loads the script
    commands = list[Any]()
    execute = empty_redis.execute_command

    def counted(*words: Any, **options: Any) -> Any:
        commands.append(words[0])
        return execute(*words, **options)

    monkeypatch.setattr(empty_redis, "execute_command", counted)
    state: ServiceState = reader.read()
    assert commands == ["EVALSHA"]
    assert (len(state.pools), len(state.running)) == (300, service_state.MOST_RUNNING)
    assert state.jobs["training", "running"] == 300
