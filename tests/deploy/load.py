"""Requests for images without a pause, as callers and strangers send them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

import httpx2

from tests.conftest import Service

PAUSE = 0.02  # seconds between two rounds of a client
CLIENTS = 2
FIRST_SEED = 900_000


@contextmanager
def load(service: Service, model: str) -> Iterator[None]:
    """Asks for new images of a version, for images by address, and for what there is not, until the block ends."""
    stop, seeds = threading.Event(), count(FIRST_SEED)

    def ask() -> None:
        with httpx2.Client(base_url=service.client.base_url, timeout=30) as client:
            while not stop.wait(PAUSE):
                seed = next(seeds)
                for body in ({}, {"seed": seed, "deadline_seconds": 10}):
                    with suppress(httpx2.HTTPError):  # the API is being restarted
                        client.post("/generate", json={"model": model, **body})
                with suppress(httpx2.HTTPError):
                    client.get(f"/made-up/{seed}")

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in threads:
            each.join(20)
