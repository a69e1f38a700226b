"""BentoML with adaptive batching of up to 16.

    PUBLISHED_VERSION=FOLDER python -m bentoml serve benchmarks.serving.peers.bentoml_service:Generate --port PORT

A batched API takes and returns lists, sent as JSON; so the PNG of an answer is encoded in base64. A second service in
front could answer image/png, but adds a process and a hop, and answered 500 to 108 of 462 requests of 32 clients,
because connections between the two broke (BentoML 1.4.40, aiohttp 3.14.5).
"""

import base64

import bentoml

from benchmarks.serving.peers.published import Published


@bentoml.service(traffic={"timeout": 60}, workers=1, logging={"access": {"enabled": False}})
class Generate:
    """One image for each request; the request's content is ignored."""

    def __init__(self) -> None:
        self.published = Published.load()

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=10_000, route="/generate")
    def generate(self, models: list[str]) -> list[str]:
        """One image for each request of the batch."""
        return [base64.b64encode(image).decode() for image in self.published.pngs(len(models))]
