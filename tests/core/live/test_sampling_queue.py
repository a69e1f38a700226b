"""The sampling queue: fair, bounded, each image made once for all its subscribers, and nothing lost."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.live import keys
from flawsmith.core.live.sampling_queue import (
    Consumer,
    Overloaded,
    Producer,
    Subscriber,
    failing_workers,
    recover,
    waiting_images,
)
from flawsmith.core.live.task_queues import SAMPLE, announce, withdraw
from flawsmith.core.settings import Settings

WOKEN = f"{keys.SAMPLER}woken"


class BlockingProducer:
    """A `Producer` without an event loop: one call at a time."""

    def __init__(self, socket: Path, limit: int) -> None:
        self.socket, self.limit = socket, limit

    def enqueue(
        self, subscriber: Subscriber, seeds: range, version: str = "m@1", seconds: float = 30, again: bool = False
    ) -> bool:
        return bool(self._run(lambda each: each.enqueue(subscriber, version, addresses(seeds), seconds, 1, again)))

    def cancel(self, subscriber: Subscriber, seeds: range) -> None:
        self._run(lambda each: each.cancel(subscriber, "m@1", addresses(seeds)))

    def _run(self, what: Callable[[Producer], Coroutine[Any, Any, Any]]) -> Any:
        async def connected() -> Any:
            async with redis.asyncio.Redis(unix_socket_path=str(self.socket)) as client:
                return await what(Producer(client, Settings(max_waiting_images=self.limit)))

        return asyncio.run(connected())


def addresses(seeds: range) -> list[Address]:
    return [Address("pits", seed) for seed in seeds]


def subscriber(caller: str, request: str = "r") -> Subscriber:
    return Subscriber(caller, f"api-of-{caller}", request)


@pytest.fixture
def producer(empty_redis: redis.Redis, redis_server: Path) -> BlockingProducer:
    return BlockingProducer(redis_server / "redis" / "redis.sock", limit=1000)


@pytest.fixture
def consumer(empty_redis: redis.Redis) -> Consumer:
    return announced(empty_redis, "sample-1")


def announced(client: redis.Redis, name: str) -> Consumer:
    announce(client, SAMPLE, name, "")
    return Consumer(client, name)


def next_seeds(consumer: Consumer) -> list[int]:
    batch = consumer.next_batch()
    return [address.seed for address in batch.addresses] if batch else []


def deliver_next(consumer: Consumer) -> list[str]:
    batch = consumer.next_batch()
    assert batch is not None
    return consumer.deliver(batch, {each: str(each).encode() for each in batch.addresses}, 100.0)


def inbox(client: redis.Redis, caller: str) -> list[bytes]:
    return client.lrange(keys.inbox(f"api-of-{caller}"), 0, -1)


def lose_message(client: redis.Redis) -> None:
    """Lets the message on its way count as lost, as it does some seconds later."""
    client.hset(WOKEN, "lost_at", int(time.time() * 1000) - 1)


def test_callers_take_turns_however_much_one_of_them_enqueued_before(
    producer: BlockingProducer, consumer: Consumer
) -> None:
    producer.enqueue(subscriber("greedy"), range(0, 300))
    producer.enqueue(subscriber("modest"), range(1000, 1004))
    assert Counter(seed >= 1000 for seed in next_seeds(consumer)) == {True: 4, False: 12}
    assert next_seeds(consumer) == list(range(12, 28))


def test_a_caller_of_many_versions_has_no_more_turns_than_one_of_one(
    producer: BlockingProducer, consumer: Consumer
) -> None:
    for number in range(10):
        producer.enqueue(subscriber("greedy"), range(0, 40), f"m@{number}")
    producer.enqueue(subscriber("modest"), range(0, 40), "m@99")
    versions = [batch.version for _ in range(4) if (batch := consumer.next_batch())]
    assert versions.count("m@99") == 2


def test_versions_take_turns(producer: BlockingProducer, consumer: Consumer) -> None:
    for version in ("m@1", "m@2"):
        producer.enqueue(subscriber("a"), range(0, 40), version)
    versions = []
    while batch := consumer.next_batch():
        versions.append(batch.version)
    assert versions == ["m@1", "m@2"] * 3


def test_an_address_of_several_subscribers_is_made_once_and_delivered_to_all(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    producer.enqueue(subscriber("a", "first"), range(0, 3))
    producer.enqueue(subscriber("b", "second"), range(1, 4))
    assert waiting_images(empty_redis) == 4
    assert sorted(deliver_next(consumer)) == ["first"] * 3 + ["second"] * 3
    assert sorted(inbox(empty_redis, "b")) == [b"second\n%d:pits\n%d:pits" % (seed, seed) for seed in (1, 2, 3)]
    assert waiting_images(empty_redis) == 0
    assert consumer.next_batch() is None


def test_a_micro_batch_names_the_images_that_were_asked_for_by_address(
    producer: BlockingProducer, consumer: Consumer
) -> None:
    producer.enqueue(subscriber("a"), range(0, 3))
    producer.enqueue(Subscriber("b", "api-of-b", "r", by_address=True), range(2, 5))
    batch = consumer.next_batch()
    assert batch is not None
    assert sorted(address.seed for address in batch.by_address) == [2, 3, 4]


def queue_bytes(client: redis.Redis) -> int:
    """Memory of the whole queue."""
    return sum(client.memory_usage(key) or 0 for key in client.scan_iter(f"{keys.SAMPLING_QUEUE}*"))


def test_retrying_callers_do_not_grow_the_queue_while_every_worker_hangs(
    producer: BlockingProducer, empty_redis: redis.Redis
) -> None:
    producer.enqueue(subscriber("patient"), range(1_000, 1_050))
    before = queue_bytes(empty_redis)
    for attempt in range(20):
        seeds = range(100 * attempt, 100 * attempt + 40)
        producer.enqueue(subscriber("hasty", str(attempt)), seeds)
        producer.enqueue(subscriber("patient", str(attempt)), seeds[:5])
        producer.cancel(subscriber("hasty", str(attempt)), seeds)
        producer.cancel(subscriber("patient", str(attempt)), seeds[:5])
    assert queue_bytes(empty_redis) <= before + 500
    assert waiting_images(empty_redis) == 50


def test_what_is_cancelled_leaves_the_rest_in_its_order_and_can_be_asked_for_again(
    producer: BlockingProducer, consumer: Consumer
) -> None:
    producer.enqueue(subscriber("a"), range(0, 6))
    producer.enqueue(subscriber("b"), range(10, 13))
    producer.cancel(subscriber("a"), range(1, 5))
    producer.cancel(subscriber("b"), range(10, 13))
    assert next_seeds(consumer) == [0, 5]
    assert next_seeds(consumer) == []
    producer.enqueue(subscriber("b", "again"), range(10, 13))
    producer.enqueue(subscriber("a", "again"), range(1, 3))
    assert next_seeds(consumer) == [10, 1, 11, 2, 12]


def test_a_queue_whose_last_address_is_cancelled_wakes_nobody(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    producer.enqueue(subscriber("a"), range(0, 3))
    producer.cancel(subscriber("a"), range(0, 3))
    lose_message(empty_redis)
    assert recover(empty_redis) is False


def test_a_cancelled_address_without_other_subscribers_is_not_made(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    producer.enqueue(subscriber("a"), range(0, 10))
    producer.enqueue(subscriber("b"), range(5, 10))
    producer.cancel(subscriber("a"), range(0, 10))
    assert waiting_images(empty_redis) == 5
    assert next_seeds(consumer) == list(range(5, 10))


def test_addresses_that_would_be_late_are_refused_with_the_work_ahead(
    producer: BlockingProducer, consumer: Consumer
) -> None:
    producer.enqueue(subscriber("a"), range(0, 16))
    deliver_next(consumer)  # at 100 images a second
    producer.enqueue(subscriber("a"), range(100, 400))
    with pytest.raises(Overloaded) as refused:
        producer.enqueue(subscriber("a"), range(400, 410), seconds=1)
    assert 2.9 <= refused.value.ahead <= 3.1
    assert 0.05 <= refused.value.own <= 0.15
    producer.enqueue(subscriber("b"), range(500, 510), seconds=1)  # whose turn comes sooner


def test_a_caller_that_floods_the_queue_leaves_room_for_the_others(
    producer: BlockingProducer, empty_redis: redis.Redis
) -> None:
    with pytest.raises(Overloaded):
        for start in range(0, 1000, 10):
            producer.enqueue(subscriber("greedy"), range(start, start + 10))
    assert waiting_images(empty_redis) == 500
    producer.enqueue(subscriber("modest"), range(2000, 2100))


def test_a_resubmission_is_not_refused(producer: BlockingProducer, empty_redis: redis.Redis) -> None:
    for start in range(0, 500, 10):
        producer.enqueue(subscriber("a"), range(start, start + 10))
    empty_redis.flushall()
    for start in range(0, 600, 10):
        producer.enqueue(subscriber("a"), range(start, start + 10), again=True)
    assert waiting_images(empty_redis) == 600


def test_one_message_is_sent_however_many_enqueue(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    woken = [producer.enqueue(subscriber("a"), range(n, n + 1)) for n in range(10)]
    assert woken == [True] + [False] * 9
    announced(empty_redis, "sample-2")
    consumer.begin_task()
    assert next_seeds(consumer) == list(range(10))
    assert not producer.enqueue(subscriber("a"), range(100, 101))  # little, and a worker is active
    assert producer.enqueue(subscriber("a"), range(200, 200 + MICRO_BATCH))  # enough for the idle worker
    assert not producer.enqueue(subscriber("a"), range(300, 320))


def test_no_message_is_sent_while_every_live_worker_is_active(producer: BlockingProducer, consumer: Consumer) -> None:
    consumer.begin_task()
    assert not producer.enqueue(subscriber("a"), range(0, 400))
    assert consumer.end_task()


def test_no_message_is_sent_while_no_worker_is_live(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    withdraw(empty_redis, SAMPLE, consumer.worker)
    assert not producer.enqueue(subscriber("a"), range(0, 10))
    assert not recover(empty_redis)
    announced(empty_redis, "sample-2")
    assert recover(empty_redis)


def test_a_lost_message_is_sent_again_ever_more_rarely_until_a_task_begins(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    assert producer.enqueue(subscriber("a"), range(0, 1))
    waits = []
    for _ in range(7):
        waits.append(float(empty_redis.hget(WOKEN, "lost_at") or 0) / 1000 - time.time())
        assert not recover(empty_redis)
        lose_message(empty_redis)
        assert recover(empty_redis)
    assert waits == pytest.approx([3, 6, 12, 24, 48, 60, 60], abs=0.5)
    consumer.begin_task()
    assert consumer.end_task()
    assert float(empty_redis.hget(WOKEN, "lost_at") or 0) / 1000 - time.time() == pytest.approx(3, abs=0.5)


def test_a_task_that_ends_while_addresses_are_queued_is_followed_by_another(
    producer: BlockingProducer, consumer: Consumer
) -> None:
    producer.enqueue(subscriber("a"), range(0, 20))
    consumer.begin_task()
    deliver_next(consumer)
    assert consumer.end_task()
    consumer.begin_task()
    deliver_next(consumer)
    assert not consumer.end_task()


def test_a_dead_workers_addresses_are_requeued_first(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    producer.enqueue(subscriber("a"), range(0, 32))
    lost = consumer.next_batch()
    assert lost is not None
    assert not recover(empty_redis)
    assert next_seeds(consumer) == list(range(16, 32))
    withdraw(empty_redis, SAMPLE, consumer.worker)
    another = announced(empty_redis, "sample-2")
    lose_message(empty_redis)
    recover(empty_redis)
    requeued = [each for _ in range(2) for each in next_seeds(another)]
    assert sorted(requeued) == list(range(32))
    late = consumer.deliver(lost, dict.fromkeys(lost.addresses, b"x"), 0.0)  # only paused: its images are as good
    assert late == ["r"] * 16
    assert waiting_images(empty_redis) == 16


def test_the_next_task_requeues_what_a_failed_one_did_not_deliver(
    producer: BlockingProducer, consumer: Consumer
) -> None:
    producer.enqueue(subscriber("a"), range(0, 4))
    assert next_seeds(consumer) == [0, 1, 2, 3]
    consumer.begin_task()
    assert sorted(next_seeds(consumer)) == [0, 1, 2, 3]


def test_addresses_past_their_deadline_are_dropped(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    producer.enqueue(subscriber("a"), range(0, 4), seconds=0.001)
    producer.enqueue(subscriber("b"), range(10, 12))
    assert next_seeds(consumer) == [10, 11]
    assert waiting_images(empty_redis) == 2


def fail_next(consumer: Consumer, pause: float = 60.0) -> tuple[bool, list[int]]:
    """The worker takes a micro-batch and fails; whether to wake another, and the seeds that nobody is left to make."""
    batch = consumer.next_batch()
    assert batch is not None
    wake, left = consumer.give_back(batch.version, batch, pause)
    if left:
        consumer.deliver(batch, dict.fromkeys(left, b"!why"), 0.0)
    return wake, [address.seed for address in left]


def test_a_batch_that_a_worker_fails_to_make_goes_back_once_for_another_worker(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    other = announced(empty_redis, "sample-2")
    producer.enqueue(subscriber("a"), range(0, 10))
    consumer.begin_task()
    assert fail_next(consumer) == (True, [])
    assert consumer.next_batch() is None  # the worker takes no more of the version
    assert inbox(empty_redis, "a") == []
    assert sorted(next_seeds(other)) == list(range(10))
    assert waiting_images(empty_redis) == 10


def test_a_batch_that_the_other_worker_fails_to_make_too_is_reported(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    third = announced(empty_redis, "sample-3")
    other = announced(empty_redis, "sample-2")
    producer.enqueue(subscriber("a"), range(0, 3))
    assert fail_next(consumer)[1] == []
    assert fail_next(other) == (False, [2, 1, 0])  # though a third worker could try
    assert len(inbox(empty_redis, "a")) == 3
    assert waiting_images(empty_redis) == 0
    producer.enqueue(subscriber("a", "again"), range(0, 1))
    assert fail_next(third, 0.0) == (False, [0])  # the last one: nobody is left


def test_the_only_worker_reports_its_failures_at_once_and_goes_on_trying(
    producer: BlockingProducer, consumer: Consumer
) -> None:
    for attempt in range(3):
        producer.enqueue(subscriber("a", str(attempt)), range(0, 2))
        assert fail_next(consumer) == (False, [0, 1])


def test_a_failing_worker_still_makes_other_versions_and_is_named_until_it_recovers(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    live = {"sample-1", "sample-2"}
    announced(empty_redis, "sample-2")
    producer.enqueue(subscriber("a"), range(0, 1))
    fail_next(consumer)
    producer.enqueue(subscriber("a"), range(5, 6), version="other@1")
    assert next_seeds(consumer) == [5]
    assert failing_workers(empty_redis, live) == [("sample-1", "m@1")]
    consumer.recovered("m@1")
    assert failing_workers(empty_redis, live) == []
    assert next_seeds(consumer) == [0]


def test_a_failing_worker_that_is_gone_is_not_named(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    consumer.give_back("m@1", None, 60.0)
    assert failing_workers(empty_redis, {"sample-2"}) == []
    assert failing_workers(empty_redis, {"sample-1"}) == []


def test_a_failing_worker_tries_again_after_its_pause(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    announced(empty_redis, "sample-2")
    producer.enqueue(subscriber("a"), range(0, 1))
    assert fail_next(consumer, pause=0.0)[1] == []
    assert next_seeds(consumer) == [0]


def test_messages_do_not_go_round_for_work_that_a_failing_worker_leaves_to_a_busy_one(
    producer: BlockingProducer, consumer: Consumer, empty_redis: redis.Redis
) -> None:
    other = announced(empty_redis, "sample-2")
    other.begin_task()
    producer.enqueue(subscriber("a"), range(0, 3 * MICRO_BATCH))
    consumer.begin_task()
    fail_next(consumer)
    assert other.next_batch() is not None
    consumer.begin_task()
    assert consumer.next_batch() is None
    assert consumer.end_task() is False
