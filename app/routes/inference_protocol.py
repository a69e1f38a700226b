"""Health and readiness as the Open Inference Protocol names them, for probes and gateways such as KServe's.

https://github.com/kserve/open-inference-protocol: a status of 200 says yes, every other one no.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.model_references import ModelReferences
from flawsmith.app.problems import RETRY_SECONDS, Problem, documented
from flawsmith.app.routes.models import ModelName, Number
from flawsmith.core.live.task_queues import SAMPLE
from flawsmith.core.services import Services

router = APIRouter(prefix="/v2", tags=["operations"])


@router.get("/health/live", responses=documented())
async def is_live() -> dict[str, bool]:
    """200 while the process runs, as `/healthz`."""
    return {"live": True}


@router.get("/health/ready", responses=documented())
def is_ready(request: Request, services: ServicesDep) -> dict[str, bool]:
    """200 when every part is up, as `/readyz`; else 503 with the `missing` parts."""
    missing = request.app.state.readiness.state(services).missing
    if missing:
        raise _not_ready(f"not ready: {'; '.join(missing)}", missing=missing)
    return {"ready": True}


@router.get("/models/{name}/ready", responses=documented(404, 409))
async def is_model_ready(request: Request, name: ModelName, services: ServicesDep) -> dict[str, Any]:
    """200 when the model's bare name means a version and a worker can sample it."""
    references: ModelReferences = request.app.state.references
    await references.served(name)
    return await _readiness(name, services)


@router.get("/models/{name}/versions/{version}/ready", responses=documented(404))
async def is_version_ready(request: Request, name: ModelName, version: Number, services: ServicesDep) -> dict[str, Any]:
    """200 when there is such a version and a worker can sample it."""
    references: ModelReferences = request.app.state.references
    await references.version(name, version)
    return await _readiness(name, services)


async def _readiness(name: str, services: Services) -> dict[str, Any]:
    """Raises Problem 503 where no worker is live that could sample."""
    if not await run_in_threadpool(services.queues.live_workers, SAMPLE):
        raise _not_ready(f"no live worker for queue '{SAMPLE}' makes images; start one", name=name)
    return {"name": name, "ready": True}


def _not_ready(detail: str, **members: Any) -> Problem:
    return Problem(503, "unavailable", detail, {"Retry-After": str(RETRY_SECONDS)}, ready=False, **members)
