"""SIGTERM to the API of a running service: accepted calls are answered, within a bound."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest
from tests.conftest import SMALL_JOB, Service, photograph, start_service, stop_service, until, zipped

from flawsmith.core.live.sampling_queue import waiting_images

BOUND = 10  # seconds


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the model `model`."""
    service = start_service(tmp_path_factory.mktemp("draining"), drain_seconds=str(BOUND))
    service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(4)}))
    assert service.train("set", "model")["state"] == "succeeded"
    assert service.client.post("/generate", json={"model": "model@1", "seed": 1}).status_code == 200  # it is loaded
    yield service
    stop_service(service)


@contextmanager
def stopped_worker(service: Service) -> Iterator[int]:
    """The sampling worker, which stands still, so that a call waits."""
    worker = until(lambda: service.pid("worker", "sample"), 10, "the worker runs")
    os.kill(worker, signal.SIGSTOP)
    try:
        yield worker
    finally:
        os.kill(worker, signal.SIGCONT)


def ask(service: Service, caller: ThreadPoolExecutor, seed: int) -> "Future[httpx2.Response]":
    """A call that waits for the worker."""
    body = {"model": "model@1", "seed": seed, "deadline_seconds": 60}
    asked = caller.submit(service.client.post, "/generate", json=body, timeout=60)
    until(lambda: waiting_images(service.redis), 10, "the request waits")
    return asked


def state(service: Service) -> str:
    return str(service.client.get("/readyz").json()["status"])


def test_the_api_says_that_it_drains_and_answers_what_it_accepted(service: Service) -> None:
    api = until(lambda: service.pid("api"), 10, "the API runs")
    with ThreadPoolExecutor(1) as caller, stopped_worker(service) as worker:
        asked = ask(service, caller, 7_000_000)
        os.kill(api, signal.SIGTERM)
        until(lambda: state(service) == "draining", 2, "/readyz says so")
        refused = service.client.post("/generate", json={"model": "model@1"})
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:flawsmith:unavailable")
        assert service.client.get("/healthz").status_code == 200
        os.kill(worker, signal.SIGCONT)
        assert asked.result().status_code == 200
    until(service.ready, 20, "the API is back")
    assert service.pid("api") != api


def test_a_call_that_does_not_end_and_a_client_of_events_do_not_keep_the_api(service: Service) -> None:
    body = {**SMALL_JOB, "dataset": "set", "model": "other", "steps": 100_000}
    job = service.client.post("/training-jobs", json=body).json()["id"]
    api = until(lambda: service.pid("api"), 10, "the API runs")
    with ThreadPoolExecutor(1) as caller, stopped_worker(service):
        asked = ask(service, caller, 8_000_000)
        with service.client.stream("GET", f"/training-jobs/{job}/events") as events:
            lines = events.iter_lines()
            assert any(line.startswith("event: ") for line in lines)
            begun = time.monotonic()
            os.kill(api, signal.SIGTERM)
            for _ in lines:  # the stream ends, without an error
                pass
            assert time.monotonic() - begun < BOUND  # at once, not with the bound
        until(lambda: service.pid("api") not in (None, api), 2 * BOUND + 10, "a new API runs")
        ended = time.monotonic() - begun
        assert BOUND <= ended < 2 * BOUND + 6, f"the bound is {BOUND} s, the API ended after {ended:.1f} s"
        assert isinstance(asked.exception(30), httpx2.TransportError) or asked.result().status_code >= 500
    until(service.ready, 20, "the service is back")
    service.client.post(f"/training-jobs/{job}/cancel")
