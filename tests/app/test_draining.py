"""An API process that was asked to end: accepted calls end, new ones are refused, and the wait is bounded."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.conftest import free_port, until

from flawsmith.app.draining import Drain, DrainingRequests


@dataclass
class Process:
    """An application with a slow call, and what would stop its server."""

    drain: Drain
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: bool = False

    def __post_init__(self) -> None:
        routes = [
            Route("/slow", self._slow),
            *(Route(path, self._quick) for path in ("/quick", "/healthz", "/metrics")),
        ]
        transport = httpx2.ASGITransport(DrainingRequests(Starlette(routes=routes), self.drain))
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://localhost")

    async def _slow(self, request: Request) -> Response:
        self.begun.set()
        await self.go_on.wait()
        return PlainTextResponse("slow")

    async def _quick(self, request: Request) -> Response:
        return PlainTextResponse("quick")

    def stop(self) -> None:
        self.stopped = True


def test_accepted_calls_end_and_new_ones_are_refused() -> None:
    async def scenario() -> None:
        process = Process(Drain(60))
        assert (await process.client.get("/quick")).status_code == 200
        slow = asyncio.create_task(process.client.get("/slow"))
        await process.begun.wait()
        draining = asyncio.create_task(process.drain.run(process.stop))
        await asyncio.sleep(0)
        for path in ("/quick", "/slow", "/nowhere"):
            refused = await process.client.get(path)
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:flawsmith:unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert refused.headers["connection"] == "close"
            assert "draining" in refused.json()["detail"]
        ready = await process.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        for path in ("/healthz", "/metrics"):
            assert (await process.client.get(path)).status_code == 200
        assert not process.stopped
        process.go_on.set()
        assert (await slow).text == "slow"
        await asyncio.wait_for(draining, 10)
        assert process.stopped

    asyncio.run(scenario())


def test_an_idle_process_stops_at_once() -> None:
    async def scenario() -> None:
        process = Process(Drain(60))
        await process.client.get("/quick")
        await asyncio.wait_for(process.drain.run(process.stop), 10)
        assert process.stopped

    asyncio.run(scenario())


@pytest.mark.parametrize("seconds", [0, 0.2])
def test_a_call_without_end_does_not_keep_the_process(seconds: float) -> None:
    async def scenario() -> None:
        process = Process(Drain(seconds))
        slow = asyncio.create_task(process.client.get("/slow"))
        await process.begun.wait()
        await asyncio.wait_for(process.drain.run(process.stop), 10)
        assert process.stopped
        assert not slow.done()
        process.go_on.set()
        await slow

    asyncio.run(scenario())


@contextmanager
def server(seconds: float) -> Iterator[tuple[subprocess.Popen[str], httpx2.Client]]:
    """A server process that drains for at most ``seconds``, and a client of it."""
    port = free_port()
    command = [sys.executable, "-m", "tests.app.slow_api", str(port), str(seconds)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            until(lambda: client.get("/healthz").status_code == 200, 20, "the server answers")
            yield process, client
        finally:
            process.kill()


def accepted(
    process: subprocess.Popen[str], client: httpx2.Client, caller: ThreadPoolExecutor
) -> "Future[httpx2.Response]":
    """A call that the server has accepted, and that goes on."""
    call = caller.submit(client.get, "/slow")
    assert process.stdout is not None
    assert process.stdout.readline() == "accepted\n"
    return call


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_accepted_calls_end_and_then_the_server(number: signal.Signals) -> None:
    with server(60) as (process, client), ThreadPoolExecutor(1) as caller:
        call = accepted(process, client, caller)
        process.send_signal(number)
        until(lambda: client.get("/readyz").json()["status"] == "draining", 10, "/readyz says so")
        assert client.get("/slow").status_code == 503
        client.get("/healthz?go-on")
        assert call.result(10).text == "slow"
        assert process.wait(10) in (0, -number)
        assert process.stdout is not None
        assert process.stdout.read() == "draining\nclosed\n"


def test_a_call_without_end_ends_with_the_bound() -> None:
    with server(1.5) as (process, client), ThreadPoolExecutor(1) as caller:
        call = accepted(process, client, caller)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert 1.5 <= time.monotonic() - begun < 10
        assert call.exception(10) is not None or call.result().status_code >= 500


def test_the_same_signal_once_more_does_not_wait_and_another_one_does() -> None:
    with server(60) as (process, client), ThreadPoolExecutor(1) as caller:
        call = accepted(process, client, caller)
        process.send_signal(signal.SIGINT)
        until(lambda: client.get("/readyz").json()["status"] == "draining", 10, "/readyz says so")
        process.send_signal(signal.SIGTERM)  # as a parent process sends it after Ctrl-C
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert call.exception(10) is not None or call.result().status_code >= 500
