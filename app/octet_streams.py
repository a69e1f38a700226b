"""Bytes under the name `application/octet-stream`, for callers that know no other binary type.

The OpenAPI document offers it for every answer that is neither JSON nor text: some generators of clients read no body
of a type such as `image/png`.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ASKED = (b"accept", b"application/octet-stream")
_KEPT = ("application/json", "application/problem+json", "text/")


class OctetStreams:
    """ASGI middleware: a caller that accepts `application/octet-stream` alone gets what ``*/*`` gets, named so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _ASKED not in scope["headers"]:
            await self.app(scope, receive, send)
            return

        async def send_renamed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                if not headers.get("content-type", "text/").startswith(_KEPT):
                    headers["content-type"] = "application/octet-stream"
                    message["headers"] = headers.raw
            await send(message)

        headers = [(b"accept", b"*/*") if each == _ASKED else each for each in scope["headers"]]
        scope["headers"] = headers
        await self.app(scope, receive, send_renamed)
