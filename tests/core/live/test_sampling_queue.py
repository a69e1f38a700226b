"""The sampling queue: fair, bounded, each image made once for all its subscribers, and nothing lost."""

import time
from collections import Counter

import pytest
import redis
import redis.asyncio
from tests.core.live.queue_clients import (
    WOKEN,
    BlockingProducer,
    announced,
    deliver_next,
    inbox,
    lose_message,
    next_seeds,
    subscriber,
)

from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.core.live import keys
from flawsmith.core.live.sampling_queue import (
    Consumer,
    Overloaded,
    Subscriber,
    recover,
    waiting_images,
)
from flawsmith.core.live.task_queues import SAMPLE, withdraw

pytestmark = pytest.mark.usefixtures("lasting_heartbeats")


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
    def sends_again_after(seconds: float, since: float) -> None:
        lost_at = float(empty_redis.hget(WOKEN, "lost_at") or 0) / 1000
        assert since + seconds - 0.05 <= lost_at <= time.time() + seconds + 0.05

    sent_at = time.time()
    assert producer.enqueue(subscriber("a"), range(0, 1))
    for seconds in (3, 6, 12, 24, 48, 60, 60):
        sends_again_after(seconds, sent_at)
        lose_message(empty_redis)
        sent_at = time.time()
        assert recover(empty_redis)
        assert not recover(empty_redis)
    consumer.begin_task()
    sent_at = time.time()
    assert consumer.end_task()
    sends_again_after(3, sent_at)


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
