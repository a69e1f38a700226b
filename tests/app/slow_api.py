"""A small application that drains as the API does: `python -m tests.app.slow_api PORT SECONDS`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from flawsmith.app.draining import Drain, DrainingRequests


def main(port: int, seconds: float) -> None:
    drain, go_on = Drain(seconds), asyncio.Event()

    async def slow(request: Request) -> Response:
        print("accepted", flush=True)
        await go_on.wait()
        return PlainTextResponse("slow")

    async def healthz(request: Request) -> Response:
        if drain.begun and request.query_params:
            go_on.set()
        return PlainTextResponse("alive")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        drain.before_exit(lambda: print("draining", flush=True))
        yield
        print("closed", flush=True)

    app = Starlette(routes=[Route("/slow", slow), Route("/healthz", healthz)], lifespan=lifespan)
    server = uvicorn.Config(DrainingRequests(app, drain), port=port, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(server).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
