"""FastAPI that calls torch in a thread of its pool, one image per call: the obvious first implementation.

PUBLISHED_VERSION=FOLDER python -m benchmarks.serving.peers.plain_fastapi PORT
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Response

from benchmarks.serving.peers.published import Published

app = FastAPI()
published = Published.load()


@app.post("/generate")
def generate(body: dict[str, Any]) -> Response:
    """One image."""
    [image] = published.pngs(1)
    return Response(image, media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False)
