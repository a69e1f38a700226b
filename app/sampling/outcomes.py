"""Counts the requests for images by outcome, and the images that were given out."""

import asyncio
from functools import cache

from prometheus_client import Counter
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect

from flawsmith.app.image_request import ImageRequest
from flawsmith.app.problems import Problem
from flawsmith.app.sampling.images import Availability, Images
from flawsmith.core.metrics import model_label

REQUESTS = Counter(
    "flawsmith_generate_requests_total",
    "Requests for images by outcome, and by where the images came from",
    ["outcome", "source"],
)
SERVED = Counter(
    "flawsmith_images_served_total",
    "Images given to callers, by whether all, some or none of a request's were ready",
    ["model", "availability"],
)

_SOURCES = ("pool", "cache", "worker", "mixed", "addresses")  # `addresses`: the request asked for no images
_OUTCOMES = {429: "refused", 503: "unavailable", 504: "too_late"}  # by status
_OTHER_OUTCOMES = ("rejected", "failed", "client_gone")
# Each is there from the beginning, so that its first count is an increase.
_COUNTS = {source: REQUESTS.labels("served", source) for source in _SOURCES} | {
    outcome: REQUESTS.labels(outcome, "none") for outcome in (*_OUTCOMES.values(), *_OTHER_OUTCOMES)
}


def count_served(wanted: ImageRequest, images: Images) -> None:
    """Counts a request that gets its images."""
    _COUNTS[_source(wanted, images)].inc()
    if images.pngs:
        _served(model_label(wanted.version.model), images.availability).inc(len(images.addresses))


def count_unserved(error: BaseException) -> None:
    """Counts a request that gets none."""
    _COUNTS[_outcome(error)].inc()


@cache
def _served(model: str, availability: Availability) -> Counter:
    return SERVED.labels(model, availability)


def _source(wanted: ImageRequest, images: Images) -> str:
    if not images.pngs:
        return "addresses"
    if images.availability == "hit":
        return "pool" if wanted.addresses is None else "cache"
    return "worker" if images.availability == "miss" else "mixed"


def _outcome(error: BaseException) -> str:
    if isinstance(error, Problem):
        return _OUTCOMES.get(error.status, "failed" if error.status >= 500 else "rejected")
    if isinstance(error, RedisError):
        return "unavailable"
    return "client_gone" if isinstance(error, ClientDisconnect | asyncio.CancelledError) else "failed"
