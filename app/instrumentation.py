"""Request instrumentation: an id, security headers, one access log line, a count and a latency for every request."""

import logging
import secrets
import time
from functools import cache
from urllib.parse import quote

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flawsmith.app.problems import CLIENT_GONE
from flawsmith.app.security_headers import with_security_headers
from flawsmith.core.logs import acceptable_request_id, caller_name, request_id
from flawsmith.core.tracing import HEADER, describe_span, is_traced, span

log = logging.getLogger("flawsmith.access")

PROBES = frozenset(
    {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
)  # called every few seconds; their successes are logged at debug

REQUESTS = Counter("flawsmith_http_requests_total", "HTTP requests", ["method", "route", "status"])
SECONDS = Histogram(
    "flawsmith_http_request_seconds",
    "Time from a request's arrival to its answer's last byte, in seconds",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


HEADER_BYTES = HEADER.encode()
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@cache  # of our own words only: a stranger's would stay for ever, here and in Prometheus
def _labelled(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), SECONDS.labels(method, route)


class Instrumentation:
    """The outermost ASGI middleware, so that unexpected errors are logged and counted too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = traceparent = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == HEADER_BYTES:
                traceparent = value
        known = given.decode("latin-1")
        identity = known if acceptable_request_id(known) else secrets.token_hex(16)
        token = request_id.set(identity)
        try:
            if is_traced(traceparent):
                with span(_method(scope), "server", traceparent.decode("latin-1")):
                    describe_span(*_described(scope, await self._answer(scope, receive, send, identity), identity))
            else:
                await self._answer(scope, receive, send, identity)
        finally:
            request_id.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, identity: str) -> int:
        """Returns the status."""
        begun, status = time.perf_counter(), CLIENT_GONE

        async def send_with_request_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*with_security_headers(message), (b"x-request-id", identity.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_request_id)
        finally:
            _record(scope, status, time.perf_counter() - begun)
        return status


def _record(scope: Scope, status: int, seconds: float) -> None:
    """Counts a request, and says in the log how it went."""
    method, route = _method(scope), getattr(scope.get("route"), "path", "unknown")
    count, latency = _labelled(method, route, status)
    count.inc()
    latency.observe(seconds)
    level = logging.DEBUG if status == 200 and scope["path"] in PROBES else logging.INFO
    by = f" by {caller_name.get()}" if caller_name.get() else ""
    path = route if scope["path"] == route else quote(scope["path"])  # quoting takes time, and our own need none
    log.log(level, "%s %s %d %.1f ms%s", scope["method"], path, status, seconds * 1000, by)


def _described(scope: Scope, status: int, identity: str) -> tuple[str, dict[str, str | int], bool]:
    """The name of a request's span, its attributes, and whether it failed."""
    method, route = _method(scope), str(getattr(scope.get("route"), "path", "unknown"))
    told: dict[str, str | int] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
    }
    return f"{method} {route}", {**told, "flawsmith.request_id": identity}, status >= 500


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"
