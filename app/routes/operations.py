"""Operations: liveness, readiness, metrics."""

import os
from collections import Counter
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from redis.exceptions import RedisError

from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.problems import documented
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.live.sampling_queue import failing_workers, waiting_images
from flawsmith.core.live.task_queues import QUEUES, SAMPLE
from flawsmith.core.services import Services

router = APIRouter(tags=["operations"])


@router.get("/healthz", responses=documented())
async def healthz() -> dict[str, str]:
    """200 while the process runs. It uses no thread and no other part: a hanging Redis or disk must not fail it."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    response_model=dict[str, Any],
    responses={
        **documented(),
        503: {"model": dict[str, Any], "description": "Not ready; `missing` names the parts that are down"},
    },
)
def readyz(request: Request, services: ServicesDep) -> JSONResponse:
    """200 when every part is up, else 503 with the missing parts. Parts that fail while others work are warnings."""
    state = request.app.state.readiness.state(services)
    status = "not ready" if state.missing else "ready"
    body: dict[str, Any] = {"status": status, "missing": state.missing, "warnings": state.warnings}
    return JSONResponse(body, 503 if state.missing else 200, {"Retry-After": "5"} if state.missing else None)


@router.get("/metrics", response_class=Response, responses=documented(also={200: {"content": {"text/plain": {}}}}))
def get_metrics(request: Request, services: ServicesDep) -> Response:
    """Prometheus metrics: this API's requests, the jobs, queues and workers of the whole service, and the quality of
    the versions in production."""
    own = generate_latest(_registry_of_all_processes())
    quality = generate_latest(_Collected(request.app.state.quality_metrics.families()))
    return Response(own + _from_redis(services) + quality, media_type=CONTENT_TYPE_LATEST)


@router.get("/metrics/targets", responses=documented())
def get_metrics_targets(services: ServicesDep) -> list[dict[str, Any]]:
    """The live workers' own /metrics, for Prometheus' HTTP service discovery."""
    return [
        {"targets": [address], "labels": {"queue": queue, "worker": name}}
        for queue in QUEUES
        for name, address in services.queues.live_workers(queue).items()
    ]


def _registry_of_all_processes() -> CollectorRegistry:
    """The metrics of every API process on this machine."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _from_redis(services: Services) -> bytes:
    """Gauges read from Redis at the time of the scrape, which are the same from every API process."""
    jobs = GaugeMetricFamily("flawsmith_jobs", "Jobs of all kinds by state", labels=["state"])
    waiting = GaugeMetricFamily("flawsmith_queue_messages", "Messages that no worker has received", labels=["queue"])
    live = GaugeMetricFamily("flawsmith_live_workers", "Workers with a recent heartbeat", labels=["queue"])
    pool = GaugeMetricFamily("flawsmith_pool_images", "Images in the pool", labels=["model"])
    failing = GaugeMetricFamily(
        "flawsmith_failing_sampling_workers", "Live workers that fail to sample a version", labels=["model"]
    )
    asked = GaugeMetricFamily("flawsmith_waiting_images", "Images that requests wait for")
    up = GaugeMetricFamily("flawsmith_redis_up", "Whether Redis answered this scrape")
    try:
        for state, count in services.jobs.counts().items():
            jobs.add_metric([state], count)
        for queue in QUEUES:
            waiting.add_metric([queue], services.queues.waiting(queue))
            live.add_metric([queue], len(services.queues.live_workers(queue)))
        for version, count in PoolReplenisher(services.redis, services.settings).image_counts().items():
            pool.add_metric([version], count)
        versions = Counter(
            version for _, version in failing_workers(services.redis, services.queues.live_workers(SAMPLE))
        )
        for version, count in versions.items():
            failing.add_metric([version], count)
        asked.add_metric([], waiting_images(services.redis))
        up.add_metric([], 1)
    except RedisError:
        up.add_metric([], 0)
    return generate_latest(_Collected([jobs, waiting, live, pool, failing, asked, up]))


class _Collected:
    """A registry of ready-made metric families, as `generate_latest` expects it."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self.families = families

    def collect(self) -> list[GaugeMetricFamily]:
        return self.families
