"""`Idempotency-Key` on an application with one mutating route, against a real Redis."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import redis
from fastapi import APIRouter, FastAPI, Request, Response
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from starlette.testclient import TestClient
from tests.conftest import until

from flawsmith.app import idempotency, idempotency_bound, problems
from flawsmith.app.idempotency import Idempotency, IdempotentRoute, reserved_identity
from flawsmith.app.problems import Problem
from flawsmith.core.live.connections import connect_async
from flawsmith.core.settings import Settings


@dataclass
class Orders:
    """A client of an application that takes orders, and what the application has done."""

    client: TestClient
    handled: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def post(self, text: str = "a", key: str | None = "key", path: str = "/orders", **headers: str) -> httpx2.Response:
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.post(path, content=text, headers=headers)

    async def handle(self, request: Request) -> Response:
        """Answers with the order's number; fails with the next of `failures`; the order 'slow' waits."""
        text = (await request.body()).decode()
        if text == "slow":
            self.begun.set()
            await asyncio.to_thread(self.go_on.wait, 10)
        if self.failures:
            raise self.failures.pop()
        self.handled.append(text)
        number = str(len(self.handled))
        return Response(number, 201, {"Location": f"/orders/{number}", "X-Other": "not kept"}, "text/plain")


@pytest.fixture
def orders(redis_settings: Settings) -> Iterator[Orders]:
    """The application, with a Redis client as the API's lifespan makes it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.redis = connect_async(redis_settings)
        yield
        await app.state.redis.aclose()

    app = FastAPI(lifespan=lifespan)
    problems.install(app)
    router = APIRouter(route_class=IdempotentRoute)
    with TestClient(app, raise_server_exceptions=False) as client:
        orders = Orders(client)
        for path in ("/orders", "/returns"):
            router.add_api_route(path, orders.handle, methods=["POST", "GET"])
        app.include_router(router)
        yield orders


def test_the_same_key_and_body_run_once_and_get_the_same_answer(orders: Orders) -> None:
    first, second = orders.post(), orders.post()
    assert orders.handled == ["a"]
    assert (first.status_code, first.text, first.headers["location"]) == (201, "1", "/orders/1")
    assert (second.status_code, second.content) == (first.status_code, first.content)
    for name in ("location", "content-type"):
        assert second.headers[name] == first.headers[name]


def test_the_same_key_with_another_body_is_422(orders: Orders) -> None:
    orders.post("a")
    response = orders.post("b")
    assert (response.status_code, response.json()["type"]) == (422, "urn:flawsmith:key-reused")
    assert orders.handled == ["a"]


def test_without_a_key_every_call_runs(orders: Orders) -> None:
    assert [orders.post(key=None).text for _ in range(3)] == ["1", "2", "3"]


def test_a_key_belongs_to_its_caller_its_method_and_its_path(orders: Orders) -> None:
    answers = [orders.post(), orders.post(path="/returns"), orders.post(Authorization="Bearer other")]
    assert [answer.text for answer in answers] == ["1", "2", "3"]
    assert orders.post(key="other").text == "4"


def test_a_get_ignores_the_key(orders: Orders) -> None:
    for number in ("1", "2"):
        assert orders.client.get("/orders", headers={"Idempotency-Key": "key"}).text == number


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_no_or_too_many_characters_is_400(orders: Orders, key: str) -> None:
    response = orders.post(key=key)
    assert response.status_code == 400
    assert "1 to 255 characters" in response.json()["detail"]
    assert orders.handled == []


def test_a_repeated_call_is_409_while_the_first_is_in_flight(orders: Orders) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(orders.post, "slow")
        assert orders.begun.wait(10)
        second, other = orders.post("slow"), orders.post("b")
        orders.go_on.set()
        assert first.result(10).text == "1"
    assert (second.status_code, second.json()["type"]) == (409, "urn:flawsmith:in-flight")
    assert int(second.headers["retry-after"]) >= 1
    assert other.status_code == 422
    assert orders.post("slow").text == "1"


@pytest.mark.parametrize("failure", [Problem(409, "conflict", "not now"), RuntimeError("a bug"), KeyError("a bug")])
def test_a_failed_call_frees_its_key(orders: Orders, failure: Exception) -> None:
    orders.failures.append(failure)
    assert orders.post("a").status_code in (409, 500)
    assert orders.post("b").text == "1"
    assert orders.handled == ["b"]


def test_a_repeated_call_takes_over_within_seconds_from_one_whose_process_died(
    redis_settings: Settings, empty_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop of the first call ends in the middle of it, as its process would."""
    monkeypatch.setattr(idempotency, "LEASE_SECONDS", 2.0)

    async def begin() -> str | None:
        client = connect_async(redis_settings)
        await Idempotency(client, request({"Idempotency-Key": "key"})).begin(b"body")
        identity = reserved_identity.get()
        await client.aclose()
        return identity

    def takes_over() -> str | None:
        try:
            return asyncio.run(begin())
        except Problem as problem:
            assert problem.status == 409
            return None

    reserved = asyncio.run(begin())
    assert reserved is not None
    assert takes_over() is None
    assert until(takes_over, 10, "the lease expires") == reserved


def test_an_answer_is_kept_for_a_day(orders: Orders, empty_redis: redis.Redis) -> None:
    orders.post()
    assert [
        86_390 < int(empty_redis.ttl(key)) <= 86_400 for key in empty_redis.scan_iter("flawsmith:idempotency:*")
    ] == [True]


def test_a_call_that_takes_longer_than_its_lease_keeps_it(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "LEASE_SECONDS", 1.5)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(orders.post, "slow")
        assert orders.begun.wait(10)
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            assert orders.post("slow").status_code == 409
        orders.go_on.set()
        assert first.result(10).text == "1"
    assert orders.post("slow").text == "1"
    assert orders.handled == ["slow"]


def test_an_answer_that_redis_cannot_keep_reaches_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    class RedisAway:
        async def set(self, *args: Any, **options: Any) -> None:
            raise RedisConnectionError("away")

    asyncio.run(Idempotency(RedisAway(), request({"Idempotency-Key": "key"})).keep({"done": True}))  # type: ignore[arg-type]
    assert "cannot store the answer of an Idempotency-Key: away" in caplog.text


def request(headers: dict[str, str]) -> Request:
    """A request that no server received."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/orders", "query_string": b"", "headers": raw})


def test_a_call_with_a_key_is_503_while_redis_is_away(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*args: Any, **options: Any) -> None:
        raise RedisConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "execute", away)
        response = orders.post()
    assert (response.status_code, response.json()["type"]) == (503, "urn:flawsmith:unavailable")
    assert orders.handled == []


def test_a_caller_has_a_bounded_number_of_keys(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency_bound, "MAX_KEYS", 6)
    for number in range(3):
        assert orders.post(key=f"key-{number}").status_code == 201
    refused = orders.post(key="one more")
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:flawsmith:busy")
    assert 86_000 < int(refused.headers["retry-after"]) <= 86_400
    assert "of yours" in refused.json()["detail"]
    assert orders.post(key="key-0").text == "1", "a repeated call is answered all the same"
    assert orders.post(key=None).status_code == 201
    assert len(orders.handled) == 4


def test_all_callers_together_have_a_bounded_number_of_keys(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency_bound, "MAX_KEYS", 4)
    monkeypatch.setattr("flawsmith.app.idempotency.caller_of", lambda request: request.headers["x-caller"])

    def post(number: int) -> httpx2.Response:
        return orders.post(key=f"key-{number}", **{"X-Caller": f"caller-{number % 3}"})

    assert [post(number).status_code for number in range(6)] == [201, 201, 201, 201, 429, 429]
    refused = post(7)
    assert "of all callers" in refused.json()["detail"]


def test_a_failed_call_leaves_no_key_behind(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency_bound, "MAX_KEYS", 2)
    for number in range(5):
        orders.failures.append(Problem(409, "conflict", "not now"))
        assert orders.post(key=f"key-{number}").status_code == 409
    assert orders.post(key="key").status_code == 201
