"""What any body may be: not compressed, and not too large. Uploads have a larger limit of their own, in `uploads`."""

import re
from collections.abc import Mapping

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flawsmith.app.problems import Problem, problem_response

MAX_JSON_BYTES = 1024 * 1024
_BODILESS = frozenset({"GET", "HEAD"})


class BodyLimit:
    """ASGI middleware that answers 415 and 413 as problem+json; Starlette's own limit answers in plain text.

    Args:
        app: behind it.
        unlimited: paths whose bodies it does not limit.
        larger: the limits of paths whose JSON holds images, in bytes.
    """

    def __init__(self, app: ASGIApp, unlimited: re.Pattern[str], larger: Mapping[str, int]) -> None:
        self.app, self.unlimited, self.larger = app, unlimited, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _BODILESS and (coding := _coding(scope)):
            await problem_response(Request(scope), _compressed(coding))(scope, receive, send)
            return
        if scope["type"] != "http" or self.unlimited.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        received, most = 0, self.larger.get(scope["path"], MAX_JSON_BYTES)

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise Problem(413, "too-large", f"a JSON body may have at most {most} bytes here")
            return message

        await self.app(scope, limited_receive, send)


def _coding(scope: Scope) -> str:
    """The content coding of the body; empty if it is sent as it is."""
    for name, value in scope["headers"]:  # a plain loop: every call passes here
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return str(value.decode("latin-1"))
    return ""


def _compressed(coding: str) -> Problem:
    return Problem(
        415,
        "content-coding",
        f"this service reads no body with 'Content-Encoding: {coding}'; send it uncompressed, without that header",
        {"Accept-Encoding": "identity"},
    )
