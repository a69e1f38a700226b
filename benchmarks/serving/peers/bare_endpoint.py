"""The least that an answer from the pool can cost: FastAPI, one GET from Redis, 12 KB back.

FLAWSMITH_DATA_DIR=FOLDER python -m benchmarks.serving.peers.bare_endpoint PORT
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from flawsmith.core.live.connections import connect_async
from flawsmith.core.settings import get_settings

KEY = "benchmark:12-kilobytes"
BYTES = 12 * 1024


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.redis = connect_async(get_settings())
    await app.state.redis.set(KEY, os.urandom(BYTES))
    yield
    await app.state.redis.aclose()


app = FastAPI(lifespan=lifespan)


@app.post("/generate")
async def generate(request: Request, body: dict[str, Any]) -> Response:
    """Always the same bytes."""
    return Response(await request.app.state.redis.get(KEY), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False)
