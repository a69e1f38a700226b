"""What callers wait for: in fair turns, once for all who ask, and never lost."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from flawsmith.core.domain.addresses import Address
from flawsmith.core.live import keys
from flawsmith.core.live.sampling_queue import Consumer, Overloaded, Producer, Subscriber, recover, waiting_images
from flawsmith.core.live.task_queues import SAMPLE, announce
from flawsmith.core.settings import Settings


class Side:
    """The waiting side, a call at a time."""

    def __init__(self, socket: Path, limit: int) -> None:
        self.socket, self.limit = socket, limit

    def submit(
        self, subscriber: Subscriber, seeds: range, version: str = "m@1", seconds: float = 30, again: bool = False
    ) -> bool:
        return bool(self._run(lambda line: line.submit(subscriber, version, addresses(seeds), seconds, 1, again)))

    def cancel(self, subscriber: Subscriber, seeds: range) -> None:
        self._run(lambda line: line.cancel(subscriber, "m@1", addresses(seeds)))

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
def line(empty_redis: redis.Redis, redis_server: Path) -> Side:
    return Side(redis_server / "redis" / "redis.sock", limit=1000)


@pytest.fixture
def hand(empty_redis: redis.Redis) -> Consumer:
    announce(empty_redis, SAMPLE, "sample-1", "")
    return Consumer(empty_redis, "sample-1")


def taken(hand: Consumer) -> list[int]:
    batch = hand.take()
    return [address.seed for address in batch.addresses] if batch else []


def deliver(hand: Consumer) -> list[str]:
    batch = hand.take()
    assert batch is not None
    return hand.deliver(batch, {each: str(each).encode() for each in batch.addresses}, 100.0)


def inbox(client: redis.Redis, caller: str) -> list[bytes]:
    return client.lrange(keys.inbox(f"api-of-{caller}"), 0, -1)


def test_callers_have_turns_whatever_one_of_them_asked_for_before(line: Side, hand: Consumer) -> None:
    line.submit(subscriber("greedy"), range(0, 300))
    line.submit(subscriber("modest"), range(1000, 1004))
    assert Counter(seed >= 1000 for seed in taken(hand)) == {True: 4, False: 12}
    assert taken(hand) == list(range(12, 28))


def test_a_caller_of_many_versions_has_no_more_turns_than_one_of_one(line: Side, hand: Consumer) -> None:
    for number in range(10):
        line.submit(subscriber("greedy"), range(0, 40), f"m@{number}")
    line.submit(subscriber("modest"), range(0, 40), "m@99")
    versions = [batch.version for _ in range(4) if (batch := hand.take())]
    assert versions.count("m@99") == 2


def test_versions_have_turns(line: Side, hand: Consumer) -> None:
    for version in ("m@1", "m@2"):
        line.submit(subscriber("a"), range(0, 40), version)
    versions = []
    while batch := hand.take():
        versions.append(batch.version)
    assert versions == ["m@1", "m@2"] * 3


def test_what_several_wait_for_is_made_once_and_delivered_to_all(
    line: Side, hand: Consumer, empty_redis: redis.Redis
) -> None:
    line.submit(subscriber("a", "first"), range(0, 3))
    line.submit(subscriber("b", "second"), range(1, 4))
    assert waiting_images(empty_redis) == 4
    assert sorted(deliver(hand)) == ["first"] * 3 + ["second"] * 3
    assert sorted(inbox(empty_redis, "b")) == [b"second\n%d:pits\n%d:pits" % (seed, seed) for seed in (1, 2, 3)]
    assert waiting_images(empty_redis) == 0
    assert hand.take() is None


def test_a_worker_is_told_what_may_be_asked_for_again(line: Side, hand: Consumer) -> None:
    line.submit(subscriber("a"), range(0, 3))
    line.submit(Subscriber("b", "api-of-b", "r", by_address=True), range(2, 5))
    batch = hand.take()
    assert batch is not None
    assert sorted(address.seed for address in batch.by_address) == [2, 3, 4]


def test_what_nobody_waits_for_any_longer_is_not_made(line: Side, hand: Consumer, empty_redis: redis.Redis) -> None:
    line.submit(subscriber("a"), range(0, 10))
    line.submit(subscriber("b"), range(5, 10))
    line.cancel(subscriber("a"), range(0, 10))
    assert waiting_images(empty_redis) == 5
    assert taken(hand) == list(range(5, 10))


def test_what_would_come_too_late_is_refused_with_how_late(line: Side, hand: Consumer) -> None:
    line.submit(subscriber("a"), range(0, 16))
    deliver(hand)  # at 100 images a second
    line.submit(subscriber("a"), range(100, 400))
    with pytest.raises(Overloaded) as refused:
        line.submit(subscriber("a"), range(400, 410), seconds=1)
    assert 2.9 <= refused.value.ahead <= 3.1
    assert 0.05 <= refused.value.own <= 0.15
    line.submit(subscriber("b"), range(500, 510), seconds=1)  # whose turn comes sooner


def test_whoever_floods_the_line_leaves_room_for_the_rest(line: Side, empty_redis: redis.Redis) -> None:
    with pytest.raises(Overloaded):
        for start in range(0, 1000, 10):
            line.submit(subscriber("greedy"), range(start, start + 10))
    assert waiting_images(empty_redis) == 500
    line.submit(subscriber("modest"), range(2000, 2100))


def test_what_was_accepted_is_not_refused_when_it_is_lined_up_again(line: Side, empty_redis: redis.Redis) -> None:
    for start in range(0, 500, 10):
        line.submit(subscriber("a"), range(start, start + 10))
    empty_redis.flushall()
    for start in range(0, 600, 10):
        line.submit(subscriber("a"), range(start, start + 10), again=True)
    assert waiting_images(empty_redis) == 600


def test_one_shift_is_sent_for_however_many_ask(line: Side, hand: Consumer) -> None:
    assert [line.submit(subscriber("a"), range(n, n + 1)) for n in range(10)] == [True] + [False] * 9
    hand.begin()
    assert taken(hand) == list(range(10))
    assert not line.submit(subscriber("a"), range(100, 101))  # a worker is at work, and that is little
    assert line.submit(subscriber("a"), range(200, 220))  # enough for a second one
    assert not line.submit(subscriber("a"), range(300, 320))


def test_a_shift_that_ends_while_somebody_waits_is_followed_by_another(line: Side, hand: Consumer) -> None:
    line.submit(subscriber("a"), range(0, 20))
    hand.begin()
    deliver(hand)
    assert hand.end()
    hand.begin()
    deliver(hand)
    assert not hand.end()


def test_what_a_dead_worker_had_in_hand_is_lined_up_again_and_first(
    line: Side, hand: Consumer, empty_redis: redis.Redis
) -> None:
    line.submit(subscriber("a"), range(0, 32))
    lost = hand.take()
    assert lost is not None
    assert not recover(empty_redis)
    assert taken(hand) == list(range(16, 32))
    empty_redis.delete(keys.workers(SAMPLE), keys.SAMPLER_WOKEN)
    assert recover(empty_redis)
    another = Consumer(empty_redis, "sample-2")
    announce(empty_redis, SAMPLE, "sample-2", "")
    again = [each for _ in range(2) for each in taken(another)]
    assert sorted(again) == list(range(32))
    late = hand.deliver(lost, dict.fromkeys(lost.addresses, b"x"), 0.0)  # it was only paused: as good as another's
    assert late == ["r"] * 16
    assert waiting_images(empty_redis) == 16


def test_a_shift_that_failed_leaves_nothing_in_hand(line: Side, hand: Consumer) -> None:
    line.submit(subscriber("a"), range(0, 4))
    assert taken(hand) == [0, 1, 2, 3]
    hand.begin()
    assert sorted(taken(hand)) == [0, 1, 2, 3]


def test_what_nobody_collected_before_its_deadline_is_dropped(
    line: Side, hand: Consumer, empty_redis: redis.Redis
) -> None:
    line.submit(subscriber("a"), range(0, 4), seconds=0.001)
    line.submit(subscriber("b"), range(10, 12))
    assert taken(hand) == [10, 11]
    assert waiting_images(empty_redis) == 2
