"""HEAD wherever there is GET (RFC 9110, section 9.3.2): the status and the headers of GET, without its body."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """ASGI middleware that runs the GET of a HEAD request until its headers are known.

    It is one place for every route. FastAPI's routes know no HEAD, and a route with two methods would stand in the
    OpenAPI document twice.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            await self._answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [each for each in scope["headers"] if each[0] != b"range"]  # which is defined for GET alone
        as_get = {**scope, "method": "GET", "headers": headers}

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":  # no other message is sent on
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                running.cancel()  # the rest would only make a body, which may be a stream without end

        with anyio.CancelScope() as running:
            await self.app(as_get, receive, send_headers)
        if "route" in as_get:  # for the labels of the metrics
            scope["route"] = as_get["route"]
