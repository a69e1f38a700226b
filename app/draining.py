"""Draining: after SIGTERM an API process ends the calls that it has accepted, within a bound, and takes no new ones."""

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flawsmith.app.problems import RETRY_SECONDS, problem_response, unavailable

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STILL_ANSWERED = ("/healthz", "/v2/health/live", "/metrics")  # the process lives, and its last figures count


class Drain:
    """Whether this process drains, and how many calls it still has.

    Args:
        seconds: the longest time that the accepted calls may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begun = seconds, False
        self._calls, self._none = 0, asyncio.Event()
        self._signal: int | None = None
        self._task: asyncio.Task[None] | None = None

    def enter(self) -> None:
        """A call begins."""
        self._calls += 1

    def leave(self) -> None:
        """A call ends."""
        self._calls -= 1
        if not self._calls:
            self._none.set()

    async def run(self, stop: Callable[[], object]) -> None:
        """Refuses new calls from now on, waits for the accepted ones, and stops the server."""
        self.begun = True
        self._none.clear()
        if self._calls:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none.wait(), self.seconds)
        stop()

    def before_exit(self, on_begin: Callable[[], None]) -> None:
        """Puts draining before the server's own handling of `SIGNALS`. The same signal once more does not wait.

        Another one does: after Ctrl-C a process gets SIGINT from the terminal and then SIGTERM from its parent. Does
        nothing outside the main thread, which alone gets signals.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            end = signal.getsignal(number)
            if callable(end):
                signal.signal(number, self._handler(loop, end, on_begin))

    def _handler(
        self,
        loop: asyncio.AbstractEventLoop,
        end: Callable[[int, FrameType | None], object],
        on_begin: Callable[[], None],
    ) -> Callable[[int, FrameType | None], None]:
        def begin(number: int) -> None:
            self.begun = True
            on_begin()
            self._task = asyncio.create_task(self.run(lambda: end(number, None)), name="drain")

        def handle(number: int, frame: FrameType | None) -> None:
            if self._signal is None:
                self._signal = number
                loop.call_soon_threadsafe(begin, number)
            elif number == self._signal:
                end(number, frame)

        return handle


class DrainingRequests:
    """ASGI middleware that counts the calls and, while the process drains, answers new ones with 503."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self.app, self.drain = app, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self.drain.begun and scope["path"] not in _STILL_ANSWERED:
            await _refusal(scope)(scope, receive, send)
        else:
            self.drain.enter()
            try:
                await self.app(scope, receive, send)
            finally:
                self.drain.leave()


def _refusal(scope: Scope) -> JSONResponse:
    if scope["path"] == "/readyz":
        response = JSONResponse({"status": "draining", "missing": []}, 503, headers={"Retry-After": str(RETRY_SECONDS)})
    else:
        response = problem_response(Request(scope), unavailable("this process is draining; it takes no new calls"))
    response.headers["Connection"] = "close"
    return response
