"""Operations: liveness, readiness, metrics."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.problems import documented
from flawsmith.core.live.task_queues import QUEUES
from flawsmith.core.metrics import OPENMETRICS, PLAIN

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


@router.get(
    "/metrics",
    response_class=Response,
    responses=documented(also={200: {"content": {PLAIN: {}, OPENMETRICS: {}}}}),
)
def get_metrics(request: Request) -> Response:
    """Prometheus metrics: this API's requests, the jobs, queues and workers of the whole service, and the quality of
    the versions in production. As OpenMetrics where `Accept` prefers it."""
    content, content_type = request.app.state.scrape.answer(", ".join(request.headers.getlist("accept")))
    return Response(content, headers={"Content-Type": content_type})


@router.get("/metrics/targets", responses=documented())
def get_metrics_targets(services: ServicesDep) -> list[dict[str, Any]]:
    """The live workers' own /metrics, for Prometheus' HTTP service discovery."""
    return [
        {"targets": [address], "labels": {"queue": queue, "worker": name}}
        for queue in QUEUES
        for name, address in services.queues.live_workers(queue).items()
    ]
