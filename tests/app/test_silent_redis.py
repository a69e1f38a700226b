"""Requests for images while Redis keeps them waiting, as it does behind a network that loses everything.

Their own deadline bounds how long; without it these tests would wait for ever.
"""

import asyncio
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from flawsmith.app.sampling import client
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.image_pool import ImagePool
from flawsmith.core.live.sampling_queue import Producer
from flawsmith.core.live.task_queues import SAMPLE, announce

JSON = {"Accept": "application/json"}


async def never(*_: Any, **__: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("query", [{}, {"data": "false"}])
def test_a_request_that_redis_does_not_answer_ends_with_its_deadline(
    api: TestClient, version: ModelVersion, monkeypatch: pytest.MonkeyPatch, query: dict[str, str]
) -> None:
    monkeypatch.setattr(ImagePool, "take", never)
    answer = api.post("/generate", params=query, json={"model": version.ref, "deadline_seconds": 0.1}, headers=JSON)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert "Redis did not answer before the deadline" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) > 0


def test_a_request_past_its_deadline_does_not_wait_for_what_is_taken_back(
    api: TestClient, version: ModelVersion, empty_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(empty_redis, SAMPLE, "sample-1", "host:1")
    monkeypatch.setattr(client, "UNDOING_SECONDS", 0.1)
    monkeypatch.setattr(Producer, "cancel", never)
    answer = api.post("/generate", json={"model": version.ref, "deadline_seconds": 0.1})
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:flawsmith:deadline-passed")


def test_what_cannot_be_taken_back_does_not_change_the_answer(
    api: TestClient, version: ModelVersion, empty_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("the link is down")

    announce(empty_redis, SAMPLE, "sample-1", "host:1")
    monkeypatch.setattr(Producer, "cancel", fails)
    answer = api.post("/generate", json={"model": version.ref, "deadline_seconds": 0.1})
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:flawsmith:deadline-passed")
