"""Failed calls are repeated: after what the service asks for, with the same key, and not for ever."""

from typing import Any

import pytest
from tests.client.both import Run, both
from tests.client.stand_in import Call, Reply, answering, problem

from flawsmith.client import retries
from flawsmith.client.errors import Busy, DeadlinePassed, FlawsmithError, NoAnswer, Problem, Unavailable
from flawsmith.client.retries import FIRST_CONTACT_SECONDS, LONGEST_PAUSE, Retries, RetryPolicy

MODEL = Reply(200, b'{"name": "steel", "versions": [1], "aliases": {}, "created_at": "2026-01-01T00:00:00.000Z"}')


def of_service(status: int, retry_after: float | None = None) -> Problem:
    return (Busy if status == 429 else Unavailable)(status, {"detail": "later"}, retry_after=retry_after)


@both
@pytest.mark.parametrize(
    "failure",
    [
        problem(429, "busy", headers={"Retry-After": "0"}),
        problem(503, "unavailable", headers={"Retry-After": "0"}),
        problem(409, "in-flight", headers={"Retry-After": "0"}),
        Reply(502, b"<html>bad gateway", kind="text/html"),
        Reply(200, MODEL.body, cut=10),
    ],
)
@pytest.mark.parametrize(("method", "arguments"), [("promote", ("steel@1",)), ("delete_alias", ("steel", "a"))])
def test_a_change_is_repeated_with_the_same_key_and_body(
    run: Run, failure: Reply, method: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_CONTACT_SECONDS", 20.0)  # a call that is cut off has met no service yet
    told: list[tuple[FlawsmithError, float]] = []

    def answer(number: int, call: Call) -> Reply:
        return failure if number < 2 else MODEL

    with answering(answer) as service:
        run(service.url, method, *arguments, client={"on_retry": lambda *seen: told.append(seen)})
    assert len(service.calls) == 3
    assert len({(call.headers["idempotency-key"], call.body) for call in service.calls}) == 1
    assert len(told) == 2


@both
def test_two_changes_have_two_keys(run: Run) -> None:
    with answering(lambda *_: MODEL) as service:
        for _ in range(2):
            run(service.url, "promote", "steel@1")
    assert len({call.headers["idempotency-key"] for call in service.calls}) == 2


@both
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (problem(429, "busy", headers={"Retry-After": "3600"}), Busy),
        (problem(504, "deadline-passed"), DeadlinePassed),
        (problem(409, "conflict"), Problem),
        (problem(500, "internal"), Problem),
    ],
)
def test_what_no_repetition_would_help_is_raised_at_once(run: Run, reply: Reply, kind: type[Problem]) -> None:
    with answering(lambda *_: reply) as service, pytest.raises(kind) as raised:
        run(service.url, "generate", "steel")
    assert len(service.calls) == 1
    assert raised.value.retry_after == (3600 if kind is Busy else None)


@both
def test_repetitions_end_at_the_deadline(run: Run) -> None:
    reply = problem(503, "unavailable", "no live worker")
    with answering(lambda *_: reply) as service, pytest.raises(Unavailable, match="no live worker"):
        run(service.url, "generate", "steel", client={"deadline": 0.6})
    assert 2 <= len(service.calls) <= 5


def pauses(monkeypatch: pytest.MonkeyPatch, error: FlawsmithError, *, contacted: bool = True) -> list[float]:
    """All pauses of a call that keeps failing for 120 s, on a clock that only these pauses move."""
    clock = [0.0]
    monkeypatch.setattr("flawsmith.client.retries.time.monotonic", lambda: clock[0])
    retries, found = Retries(RetryPolicy(120.0, contacted=contacted)), list[float]()
    while True:
        try:
            found.append(retries.pause(error))
        except FlawsmithError:
            return found
        clock[0] += found[-1]


def test_pauses_grow_differ_and_stay_within_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (pauses(monkeypatch, NoAnswer("gone")) for _ in range(2))
    assert first != second
    assert first[0] <= 0.25 < first[3]
    assert max(first) <= LONGEST_PAUSE
    assert 80 < sum(first) <= 120


def test_the_service_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pauses(monkeypatch, of_service(503, 5.0))
    assert all(5.0 <= each <= 5.5 for each in found)
    assert len(found) >= 20


def test_a_service_that_never_answered_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(pauses(monkeypatch, NoAnswer("refused"), contacted=False)) <= FIRST_CONTACT_SECONDS


def test_a_call_that_gets_on_has_its_whole_deadline_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("flawsmith.client.retries.time.monotonic", lambda: clock[0])
    retries = Retries(RetryPolicy(10.0, contacted=True))
    retries.pause(NoAnswer("cut"))
    clock[0] = 1000.0
    with pytest.raises(NoAnswer):
        retries.pause(NoAnswer("cut"))
    retries.got_on()
    assert retries.pause(NoAnswer("cut")) <= 0.25


@both
def test_a_key_of_ones_own_is_sent(run: Run) -> None:
    job: dict[str, Any] = {"state": "queued", "progress": {"total_steps": 1}, "created_at": "2026-01-01T00:00:00Z"}
    reply = Reply(202, str({"id": "job-1", **job}).replace("'", '"').encode())
    with answering(lambda *_: reply) as service:
        run(service.url, "train", "steel", "steel", idempotency_key="mine")
        assert service.calls[-1].headers["idempotency-key"] == "mine"
