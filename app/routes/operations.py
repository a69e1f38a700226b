"""What ops ask: does it live, is it ready, how much has it done; and the page for people."""

import os
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from redis.exceptions import RedisError

from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.problems import documented
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.live.sampling_queue import waiting_images
from flawsmith.core.live.task_queues import QUEUES
from flawsmith.core.services import Services

router = APIRouter(tags=["operations"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """200 while the process lives."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "Something is missing; `missing` names it"}})
def readyz(services: ServicesDep) -> JSONResponse:
    """200, or 503 naming what is missing."""
    missing = missing_parts(services)
    state: dict[str, Any] = {"status": "not ready" if missing else "ready", "missing": missing}
    return JSONResponse(state, 503 if missing else 200, {"Retry-After": "5"} if missing else None)


@router.get("/metrics", response_class=Response, responses=documented(also={200: {"content": {"text/plain": {}}}}))
def metrics(services: ServicesDep) -> Response:
    """The API's counts and latencies, and the jobs, queues and workers as Redis has them."""
    own = generate_latest(_of_all_processes())
    return Response(own + _from_redis(services), media_type=CONTENT_TYPE_LATEST)


@router.get("/metrics/targets", responses=documented())
def metrics_targets(services: ServicesDep) -> list[dict[str, Any]]:
    """The live workers' own /metrics, as Prometheus' HTTP service discovery reads them."""
    return [
        {"targets": [address], "labels": {"queue": queue, "worker": name}}
        for queue in QUEUES
        for name, address in services.queues.live_workers(queue).items()
    ]


@router.get("/", response_class=HTMLResponse, responses=documented())
def page() -> HTMLResponse:
    """The page for people."""
    return HTMLResponse(files("flawsmith.app").joinpath("page.html").read_text())


def missing_parts(services: Services) -> list[str]:
    """Names of what is not there: redis, artifact store, no live worker for a queue."""
    missing = [] if services.store.writable() else ["artifact store"]
    try:
        missing += [
            f"no live worker for queue '{queue}'" for queue in QUEUES if not services.queues.live_workers(queue)
        ]
    except RedisError:
        missing.append("redis")
    return missing


def _of_all_processes() -> CollectorRegistry:
    """The counts of every API process on this machine, where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _from_redis(services: Services) -> bytes:
    """Gauges that are read at the scrape, so that they are right across any number of processes."""
    jobs = GaugeMetricFamily("flawsmith_jobs", "Jobs of all kinds by state", labels=["state"])
    waiting = GaugeMetricFamily("flawsmith_queue_messages", "Messages that no worker has begun", labels=["queue"])
    live = GaugeMetricFamily("flawsmith_live_workers", "Workers heard of lately", labels=["queue"])
    stock = GaugeMetricFamily("flawsmith_stock_images", "Ready images", labels=["model"])
    asked = GaugeMetricFamily("flawsmith_waiting_images", "Images that callers wait for")
    up = GaugeMetricFamily("flawsmith_redis_up", "Whether Redis answered this scrape")
    try:
        for state, count in services.jobs.counts().items():
            jobs.add_metric([state], count)
        for queue in QUEUES:
            waiting.add_metric([queue], services.queues.waiting(queue))
            live.add_metric([queue], len(services.queues.live_workers(queue)))
        for version, count in PoolReplenisher(services.redis, services.settings).held().items():
            stock.add_metric([version], count)
        asked.add_metric([], waiting_images(services.redis))
        up.add_metric([], 1)
    except RedisError:
        up.add_metric([], 0)
    return generate_latest(_Collected([jobs, waiting, live, stock, asked, up]))


class _Collected:
    """What generate_latest takes: something with collect()."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self.families = families

    def collect(self) -> list[GaugeMetricFamily]:
        return self.families
