"""A path prefix: the service behind a reverse proxy that serves it under a path, such as ``/flawsmith``."""

from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEY = "flawsmith_root_path"


def outside_path(request: Request, path: str) -> str:
    """A path of this service as callers see it."""
    return f"{request.scope.get(_KEY, '')}{path}"


class RootPath:
    """ASGI middleware: the application sees paths without the prefix, and callers see `Location` with it.

    It makes no difference whether the proxy passes the prefix on or takes it off.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app, self.root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self.root_path:  # relative links of the page need the slash at the end
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"{path}/?{query}" if query else f"{path}/", 308)(scope, receive, send)
            return
        if path.startswith(f"{self.root_path}/"):
            scope["path"] = path.removeprefix(self.root_path)
            scope["raw_path"] = scope.get("raw_path", path.encode()).removeprefix(self.root_path.encode())
        scope[_KEY] = self.root_path
        host = Headers(scope=scope).get("host", "")

        async def send_outside(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                if location := headers.get("location"):
                    headers["location"] = self._outside(location, host)
                    message["headers"] = headers.raw
            await send(message)

        await self.app(scope, receive, send_outside)

    def _outside(self, location: str, host: str) -> str:
        """A path of this service with the prefix. Starlette's redirects name scheme and host, which proxies hide."""
        place = urlsplit(location)
        if place.netloc and place.netloc != host:
            return location
        query = f"?{place.query}" if place.query else ""
        return f"{self.root_path}{place.path}{query}"
