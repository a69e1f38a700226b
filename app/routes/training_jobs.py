"""Training jobs: accepted, watched, cancelled and resumed here; trained elsewhere."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from kombu.exceptions import OperationalError
from pydantic import BaseModel, ValidationError
from redis.exceptions import RedisError

from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.paging import Cursor, Limit, Page, decode, encode
from flawsmith.app.problems import PNG, Problem, documented, invalid, of_pydantic
from flawsmith.core.domain.health import data_warnings, judge
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.records import Job, JobState
from flawsmith.core.domain.training_config import resolve
from flawsmith.core.domain.training_request import TrainingRequest, request_schema
from flawsmith.core.live.jobs import JobEnded
from flawsmith.core.logs import request_id
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.registry import UnknownModel

log = logging.getLogger(__name__)

router = APIRouter(prefix="/training-jobs", tags=["training jobs"], route_class=IdempotentRoute)

JobId = Annotated[str, Path(max_length=64)]


class History(BaseModel):
    """Recorded steps and, for each loss and each signal, its value at each of them.

    The signals come from evaluations and are null at other steps. `distance` says how far the fixed samples are from
    the photographs; the others are explained in docs/presets.md.
    """

    steps: list[int]
    series: dict[str, list[float | None]]


@router.post("", status_code=202, responses=documented(404, 409, 415))
def create_training_job(body: TrainingRequest, services: ServicesDep, response: Response) -> Job:
    """Accepts a job: what cannot train is refused here, before anything is queued."""
    try:
        dataset = services.datasets.get(body.dataset)
    except UnknownDataset as error:
        raise invalid("/dataset", str(error)) from error
    try:
        origin = services.registry.resolve(body.init_from) if body.init_from else None
    except UnknownModel as error:
        raise invalid("/init_from", str(error)) from error
    try:
        config = resolve(body, dataset, origin)
    except ValidationError as error:
        raise of_pydantic(error, PRESETS[body.preset].overrides, "/overrides") from error
    health = judge(data_warnings(dataset), [], [], config["total_steps"])
    job = services.jobs.create(model=body.model, dataset=dataset.id, preset=body.preset, config=config, health=health)
    _send(services, job)
    response.headers["Location"] = f"/training-jobs/{job.id}"
    return job


@router.get("", responses=documented())
def list_training_jobs(
    services: ServicesDep, state: JobState | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[Job]:
    """All jobs, newest first."""
    jobs = services.jobs.page(state, limit + 1, decode(cursor))
    more = len(jobs) > limit
    return Page(items=jobs[:limit], next_cursor=encode(jobs[limit - 1].id) if more else None)


@router.get("/schema", responses=documented())
def training_job_schema() -> dict[str, Any]:
    """JSON Schema of the body of POST /training-jobs."""
    return request_schema()


@router.get("/{job_id}", responses=documented(404))
def get_training_job(job_id: JobId, services: ServicesDep) -> Job:
    """One job."""
    return services.jobs.get(job_id)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    responses=documented(
        404, 409, also={200: {"model": Job, "description": "It had ended already; nothing was changed"}}
    ),
)
def cancel_training_job(job_id: JobId, services: ServicesDep, response: Response) -> Job:
    """Ends a job; its checkpoints are kept."""
    try:
        return services.jobs.cancel(job_id)
    except JobEnded as error:
        response.status_code = 200
        return error.job


@router.post("/{job_id}/resume", status_code=202, responses=documented(404, 409))
def resume_training_job(job_id: JobId, services: ServicesDep) -> Job:
    """Lets a failed or cancelled job go on from its last checkpoint."""
    job = services.jobs.resume(job_id)
    _send(services, job)
    return job


@router.get("/{job_id}/history", responses=documented(404))
def training_job_history(job_id: JobId, services: ServicesDep) -> History:
    """The losses so far: at most about a thousand points, whatever the job's length."""
    points = services.jobs.history(services.jobs.get(job_id).id)
    names = [name for name in dict.fromkeys(name for point in points for name in point) if name != "step"]
    return History(
        steps=[int(point["step"]) for point in points],
        series={name: [point.get(name) for point in points] for name in names},
    )


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses=documented(404, also={200: {"content": {"text/event-stream": {}}}}),
)
def training_job_events(job_id: JobId, request: Request, services: ServicesDep) -> StreamingResponse:
    """Server-sent events `progress`, `samples` and `state`; ends with the job; `Last-Event-ID` resumes."""
    job = services.jobs.get(job_id)
    events = request.app.state.events.follow(job.id, request.headers.get("last-event-id"))
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/{job_id}/samples/latest.png", response_class=Response, responses=documented(404, also=PNG))
def latest_sample(job_id: JobId, services: ServicesDep) -> Response:
    """The newest sample grid."""
    path = services.jobs.latest_sample(services.jobs.get(job_id).id)
    if path is None:
        raise Problem(404, "not-found", "there is no sample grid yet; the first comes with the first step")
    return Response(path.read_bytes(), media_type="image/png", headers={"Cache-Control": "no-store"})


@router.get("/{job_id}/samples/{step}.png", response_class=FileResponse, responses=documented(404, also=PNG))
def sample(job_id: JobId, step: Annotated[int, Path(ge=0, le=999_999_999)], services: ServicesDep) -> FileResponse:
    """The sample grid of a step: the same latents at every step."""
    path = services.jobs.sample_path(services.jobs.get(job_id).id, step)
    if not path.exists():
        raise Problem(404, "not-found", f"there is no sample grid of step {step}; latest.png is the newest")
    return FileResponse(path, media_type="image/png")


def _send(services: Services, job: Job) -> None:
    """Sends the job's next segment. The job is made whether or not that succeeds: then the reaper sends it."""
    try:
        services.queues.send_segment(job, request_id.get())
    except (RedisError, OperationalError) as error:
        log.warning("cannot send a segment of job %s yet: %s", job.id, error)
