"""A size limit for JSON bodies. Uploads have a larger limit of their own, in `uploads`."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flawsmith.app.problems import Problem

MAX_JSON_BYTES = 1024 * 1024


class BodyLimit:
    """ASGI middleware that answers 413 as problem+json; Starlette's own limit answers in plain text."""

    def __init__(self, app: ASGIApp, unlimited: frozenset[str]) -> None:
        self.app, self.unlimited = app, unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.unlimited:
            await self.app(scope, receive, send)
            return
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_JSON_BYTES:
                raise Problem(413, "too-large", f"a JSON body may have at most {MAX_JSON_BYTES} bytes")
            return message

        await self.app(scope, limited_receive, send)
