"""The Flawsmith service that is measured: its start, its stock, its answers."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import Service, start_service, stop_service

from benchmarks.serving.load import Load

MODEL = "m"
STOCK_GAUGE = "flawsmith_stock_images"
STEADY_SECONDS = 2.0  # a stock that did not grow for so long is full


@contextmanager
def flawsmith(data_dir: Path, **settings: str) -> Iterator[Service]:
    """A service at its defaults: as many threads as there are cores."""
    service = start_service(data_dir, **{"threads": "0", **settings})
    try:
        yield service
    finally:
        stop_service(service)


def url(service: Service, path: str = "/generate") -> str:
    return f"{str(service.client.base_url).rstrip('/')}{path}"


def one_image(service: Service, model: str = MODEL, **body: float) -> Load:
    """Requests of one unseeded image as a picture."""
    return Load(url(service), json.dumps({"model": model, **body}), "image/png", tally="X-Stock")


def zip_of(service: Service, count: int, model: str = MODEL) -> Load:
    """Requests of many unseeded images as a zip."""
    body = json.dumps({"model": model, "count": count})
    return Load(url(service), body, "application/zip", images=count, tally="X-Stock")


def stock(service: Service, model: str = MODEL) -> int | None:
    """Images of all versions of a model that are ready; None where the service tells of no stock."""
    families = text_string_to_metric_families(service.client.get("/metrics").text)
    samples = [sample for family in families if family.name == STOCK_GAUGE for sample in family.samples]
    if not samples:
        return None
    return int(sum(each.value for each in samples if each.labels["model"].partition("@")[0] == model))


def until_stock_is_full(service: Service, model: str = MODEL, patience: float = 120.0) -> int:
    """Waits until the stock grows no further; gives its size, 0 at once where the service tells of none."""
    most, grew, deadline = -1, time.monotonic(), time.monotonic() + patience
    while time.monotonic() - grew < STEADY_SECONDS and time.monotonic() < deadline:
        now = stock(service, model)
        if now is None:
            return 0
        if now > most:
            most, grew = now, time.monotonic()
        time.sleep(0.1)
    return max(most, 0)
