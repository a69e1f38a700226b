"""Flawsmith as a measured service: its requests, and the size of its image pool."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.local_service import LocalService, local_service
from benchmarks.serving.load import Load

MODEL = "m"
POOL_GAUGE = "flawsmith_pool_images"
STEADY_SECONDS = 2.0  # a pool that did not grow for this long is full
AVAILABILITY = "X-Stock"  # the header that says whether images came from the pool


@contextmanager
def flawsmith(data_dir: Path, **settings: str) -> Iterator[LocalService]:
    """A service at its defaults: as many threads as there are cores."""
    with local_service(data_dir, **settings) as service:
        yield service


def url(service: LocalService, path: str = "/generate") -> str:
    return f"{str(service.client.base_url).rstrip('/')}{path}"


def one_image(service: LocalService, model: str = MODEL, **body: float) -> Load:
    """Requests for one image without a seed, as a PNG."""
    return Load(url(service), json.dumps({"model": model, **body}), "image/png", tally=AVAILABILITY)


def zip_of(service: LocalService, count: int, model: str = MODEL) -> Load:
    """Requests for many images without seeds, as a zip."""
    body = json.dumps({"model": model, "count": count})
    return Load(url(service), body, "application/zip", images=count, tally=AVAILABILITY)


def pool_size(service: LocalService, model: str = MODEL) -> int | None:
    """Images in the pools of all versions of a model; None if the service does not report them."""
    families = text_string_to_metric_families(service.client.get("/metrics").text)
    samples = [sample for family in families if family.name == POOL_GAUGE for sample in family.samples]
    if not samples:
        return None
    return int(sum(each.value for each in samples if each.labels["model"] == model))


def wait_until_pool_is_full(service: LocalService, model: str = MODEL, seconds: float = 120.0) -> int:
    """Waits until the pool stops growing; returns its size, 0 at once if the service does not report it."""
    most, grew, deadline = -1, time.monotonic(), time.monotonic() + seconds
    while time.monotonic() - grew < STEADY_SECONDS and time.monotonic() < deadline:
        size = pool_size(service, model)
        if size is None:
            return 0
        if size > most:
            most, grew = size, time.monotonic()
        time.sleep(0.1)
    return max(most, 0)
