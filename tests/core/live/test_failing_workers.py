"""Sampling workers that fail: their micro-batches go back once, and they take no more of the version."""

import redis
from tests.core.live.queue_clients import BlockingProducer, announced, inbox, next_seeds, subscriber

from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.live.sampling_queue import Consumer, failing_workers, waiting_images


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
