"""LitServe with batches of up to 16 requests that wait for at most 10 ms.

PUBLISHED_VERSION=FOLDER python -m benchmarks.serving.peers.litserve_server PORT
"""

import sys
from typing import Any

import litserve
from fastapi import Response

from benchmarks.serving.peers.published import Published


class Generate(litserve.LitAPI):
    """One image for each request; the request's content is ignored."""

    def setup(self, device: str) -> None:
        self.published = Published.load()

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        return request

    def batch(self, inputs: list[dict[str, Any]]) -> int:
        return len(inputs)

    def predict(self, count: int) -> list[bytes]:
        return self.published.pngs(count)

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="image/png")


if __name__ == "__main__":
    api = Generate(max_batch_size=16, batch_timeout=0.010, api_path="/generate")
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning", access_log=False
    )
