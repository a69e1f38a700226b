"""Run flows over HTTP: one driver waits, the other awaits. They are the only code here that does input and output."""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, ExitStack, aclosing, closing
from typing import Any

import anyio
import httpx2

from flawsmith.client.commands import (
    Answer,
    Close,
    Command,
    Emit,
    Event,
    Flow,
    Open,
    Read,
    Request,
    Send,
    Sleep,
    Stream,
)
from flawsmith.client.errors import NoAnswer, UnexpectedAnswer, WrongUrl

CONNECT_SECONDS = 5.0


class SyncDriver:
    """Runs flows and waits for them."""

    _http: httpx2.Client

    def run(self, flow: Flow[Any]) -> Any:
        """The result of a flow."""
        with closing(self.iterate(flow)) as steps:
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    return end.value

    def iterate(self, flow: Flow[Any]) -> Generator[Any, None, Any]:
        """What a flow emits; its result is that of the generator."""
        result: Any = None
        with ExitStack() as opened:
            opened.callback(flow.close)
            while True:
                try:
                    command = flow.throw(result) if isinstance(result, Exception) else flow.send(result)
                except StopIteration as end:
                    return end.value
                if isinstance(command, Emit):
                    yield command.item
                    result = None
                    continue
                try:
                    result = self._perform(command, opened)
                except Exception as error:
                    result = explained(error)

    def _perform(self, command: Command, opened: ExitStack) -> Any:
        match command:
            case Send(request):
                return complete(self._http.send(built(self._http, request)))
            case Sleep(seconds):
                return time.sleep(seconds)
            case Open(request, events):
                response = self._http.send(built(self._http, request), stream=True)
                opened.callback(response.close)
                if response.status_code >= 300:
                    response.read()
                    return Stream(complete(response), None)
                source = iter(httpx2.EventSource(response)) if events else response.iter_raw()
                return Stream(head(response), (response, source))
            case Read(stream):
                return item(next(stream.source[1], None))
            case Close(stream):
                return stream.source and stream.source[0].close()


class AsyncDriver:
    """Runs flows and awaits them."""

    _http: httpx2.AsyncClient

    async def run(self, flow: Flow[Any]) -> Any:
        """The result of a flow."""
        result: list[Any] = []
        async with aclosing(self.iterate(flow, result)) as steps:
            async for _ in steps:
                pass
        return result[0]

    async def iterate(self, flow: Flow[Any], returned: list[Any] | None = None) -> AsyncGenerator[Any, None]:
        """What a flow emits; its result is added to ``returned``."""
        result: Any = None
        async with AsyncExitStack() as opened:
            opened.callback(flow.close)
            while True:
                try:
                    command = flow.throw(result) if isinstance(result, Exception) else flow.send(result)
                except StopIteration as end:
                    if returned is not None:
                        returned.append(end.value)
                    return
                if isinstance(command, Emit):
                    yield command.item
                    result = None
                    continue
                try:
                    result = await self._perform(command, opened)
                except Exception as error:
                    result = explained(error)

    async def _perform(self, command: Command, opened: AsyncExitStack) -> Any:
        match command:
            case Send(request):
                return complete(await self._http.send(built(self._http, request)))
            case Sleep(seconds):
                return await anyio.sleep(seconds)
            case Open(request, events):
                response = await self._http.send(built(self._http, request), stream=True)
                opened.push_async_callback(response.aclose)
                if response.status_code >= 300:
                    await response.aread()
                    return Stream(complete(response), None)
                source = aiter(httpx2.EventSource(response)) if events else response.aiter_raw()
                return Stream(head(response), (response, source))
            case Read(stream):
                return item(await anext(stream.source[1], None))
            case Close(stream):
                return stream.source and await stream.source[0].aclose()


def built(http: httpx2.Client | httpx2.AsyncClient, request: Request) -> httpx2.Request:
    """The request of the HTTP library."""
    more: dict[str, Any] = {}
    if request.files:
        more = {"data": dict(request.fields), "files": [(name, (file, data)) for name, file, data in request.files]}
    elif request.json is not None:
        more = {"json": request.json}
    if request.silence is not None:
        more["timeout"] = httpx2.Timeout(request.silence, connect=CONNECT_SECONDS)
    return http.build_request(
        request.method, request.path, params=request.params or None, headers=dict(request.headers), **more
    )


def head(response: httpx2.Response) -> Answer:
    """Status and headers of an answer."""
    return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()})


def complete(response: httpx2.Response) -> Answer:
    """An answer that has been read."""
    return Answer(response.status_code, head(response).headers, response.content)


def item(piece: Any) -> Any:
    """What `Read` gives for a piece of the HTTP library."""
    return Event(piece.id, piece.event, piece.data) if isinstance(piece, httpx2.ServerSentEvent) else piece


def explained(error: Exception) -> Exception:
    """An error of the HTTP library in the words of this one. Others, as of a file, stay as they are."""
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return WrongUrl(str(error))
    if isinstance(error, httpx2.TransportError):
        return NoAnswer(str(error) or type(error).__name__)
    if isinstance(error, httpx2.HTTPError):  # such as content that cannot be decoded
        return UnexpectedAnswer(str(error))
    return error
