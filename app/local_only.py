"""Keeps web pages of strangers away from a service without keys, which trusts everyone on this machine.

A page in the user's browser may send requests to loopback too. Its browser names the page's origin in `Origin` (RFC
6454) and `Sec-Fetch-Site` (W3C Fetch Metadata); a page whose own name was bound to 127.0.0.1 (DNS rebinding) shows its
name in `Host`.
"""

import ipaddress
import re
from collections.abc import Sequence

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from flawsmith.app.problems import Problem, problem_response

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9.-]{1,253}))(?::(\d{1,5}))?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})  # what nearly every call says; others are looked at closely


class LocalOnly:
    """ASGI middleware that answers 403 to calls of foreign pages, on unknown paths too.

    ``origins`` are those of pages that may call all the same.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        self.app = app
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (reason := _foreign(scope["headers"], self.origins)):
            problem = Problem(403, "foreign-page", f"{reason}; set FLAWSMITH_API_KEYS to serve others")
            await problem_response(Request(scope), problem)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _foreign(headers: list[tuple[bytes, bytes]], listed: frozenset[str]) -> str | None:
    """Why a request does not come from this machine itself; None if it does. A client may leave out all three."""
    hosts: list[str] = []
    origins: list[str] = []
    site = mode = b""
    for name, value in headers:
        if name == b"host":
            hosts.append(value.decode("latin-1"))
        elif name == b"origin":
            origins.append(value.decode("latin-1"))
        elif name == b"sec-fetch-site":
            site = value
        elif name == b"sec-fetch-mode":
            mode = value
    ports = set()
    for host in hosts:
        name_of, port = _split(host)
        if not _is_loopback(name_of):
            return "without API keys this service answers only to localhost and loopback addresses in the header Host"
        ports.add(port)
    if origins and listed.issuperset(origins):
        return None
    for origin in origins:
        scheme, _, authority = origin.partition("://")
        name_of, port = _split(authority)
        if scheme not in ("http", "https") or not _is_loopback(name_of) or port not in ports:
            return "without API keys this service serves no pages of another Origin"
    # Pictures, scripts and forms of a page may come without Origin. A link that the user follows is no danger.
    if site in (b"cross-site", b"same-site") and mode != b"navigate":
        return "without API keys this service serves no pages of another site"
    return None


def _split(authority: str) -> tuple[str, str | None]:
    """Host and port of ``host:port``; an empty host if it is malformed."""
    match = _AUTHORITY.fullmatch(authority)
    return (match[1] or match[2], match[3]) if match else ("", None)


def _is_loopback(host: str) -> bool:
    if host in _LOOPBACK or host.lower().removesuffix(".").rpartition(".")[2] == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
