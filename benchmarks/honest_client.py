"""A client that asks for one image at a time, at most 50 times a second, beside whatever happens to the service."""

import time

from benchmarks.local_service import LocalService
from benchmarks.serving.flawsmith_service import MODEL

PAUSE_SECONDS = 0.02  # between two requests


def answer_seconds(service: LocalService, requests: int) -> list[float]:
    """The seconds that each request took. Raises httpx2.HTTPStatusError if one is not answered with an image."""
    times = []
    for _ in range(requests):
        begun = time.perf_counter()
        service.client.post("/generate", json={"model": MODEL}).raise_for_status()
        times.append(time.perf_counter() - begun)
        time.sleep(PAUSE_SECONDS)
    return times
