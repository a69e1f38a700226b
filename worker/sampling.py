"""Makes the images of given addresses for a request that waits for them."""

import logging
from functools import lru_cache
from typing import Any

from prometheus_client import Counter, Histogram

from core.addresses import Address
from core.logs import request_id as current_request_id
from core.queues import SAMPLE_IMAGES, SampleRequest
from core.registry import UnknownModel
from core.replies import is_wanted, send_failure, send_images
from worker.celery import app, device, services
from worker.engine import Engine

log = logging.getLogger(__name__)

IMAGES = Counter("flawsmith_images_generated_total", "Images made by this worker", ["model"])
ABANDONED = Counter("flawsmith_sampling_abandoned_total", "Requests whose caller was gone before they were done")
SECONDS = Histogram("flawsmith_sampling_seconds", "Time to make one request's images, in seconds")


@lru_cache
def engine() -> Engine:
    """This process's own."""
    return Engine(services().registry, services().settings.loaded_generators, device())


@app.task(name=SAMPLE_IMAGES)
def sample_images(request: dict[str, Any], request_id: str) -> None:
    """Sends a request's images as they are made, for as long as somebody waits for them."""
    current_request_id.set(request_id)
    ask = SampleRequest(**request)
    redis = services().redis
    if not is_wanted(redis, ask.request):
        ABANDONED.inc()
        return
    addresses = [Address(*pair) for pair in zip(ask.defect_types, ask.seeds, strict=True)]
    try:
        with SECONDS.time():
            for images in engine().images(ask.model, ask.version, addresses):
                send_images(redis, ask.request, images)
                IMAGES.labels(ask.model).inc(len(images))
                if not is_wanted(redis, ask.request):
                    ABANDONED.inc()
                    return
    except UnknownModel as error:
        send_failure(redis, ask.request, str(error))
    except Exception:
        log.exception("sampling of %s@%s failed", ask.model, ask.version)
        send_failure(redis, ask.request, "the worker could not make the images; its log has the details")
