"""A bound on JSON bodies. Uploads have their own, larger one, where they are streamed to disk."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flawsmith.app.problems import Problem

LONGEST_JSON = 1024 * 1024  # bytes


class BodyLimit:
    """ASGI middleware. The framework's own bound answers in plain text, which no problem+json reader understands."""

    def __init__(self, app: ASGIApp, unlimited: frozenset[str]) -> None:
        self.app, self.unlimited = app, unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.unlimited:
            await self.app(scope, receive, send)
            return
        received = 0

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LONGEST_JSON:
                raise Problem(413, "too-large", f"a JSON body has at most {LONGEST_JSON} bytes here")
            return message

        await self.app(scope, bounded_receive, send)
