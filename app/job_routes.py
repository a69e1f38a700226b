"""The calls that every kind of job has: list, get, cancel, resume and events. A kind's own router adds the others."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.paging import Cursor, Limit, Page, decode, encode
from flawsmith.app.problems import documented
from flawsmith.core.domain.job_states import JobEnded
from flawsmith.core.domain.jobs import Job, JobKind, JobState
from flawsmith.core.logs import request_id
from flawsmith.core.services import Services

log = logging.getLogger(__name__)

JobId = Annotated[str, Path(max_length=64)]


def job_router(kind: JobKind) -> APIRouter:
    """An empty router for the kind's own calls; `add_job_routes` then adds those of every kind."""
    return APIRouter(prefix=kind.path, tags=[f"{kind.name} jobs"], route_class=IdempotentRoute)


def submit(services: Services, kind: JobKind, job: Job, response: Response) -> Job:
    """Records a new job, enqueues its first segment, and sets the header Location."""
    services.jobs.create(job)
    _enqueue(services, job)
    response.headers["Location"] = f"{kind.path}/{job.id}"
    return job


def add_job_routes(router: APIRouter, kind: JobKind) -> None:
    """Adds the calls of every kind, after the router's own: a path such as `/schema` must not be taken for an id."""
    _add_reading(router, kind)
    _add_control(router, kind)


def _add_reading(router: APIRouter, kind: JobKind) -> None:
    record: Any = kind.record

    def list_jobs(
        services: ServicesDep, state: JobState | None = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[Any]:
        jobs = services.jobs.page(kind, state, limit + 1, decode(cursor))
        more = len(jobs) > limit
        return Page(items=jobs[:limit], next_cursor=encode(jobs[limit - 1].id) if more else None)

    def get_job(job_id: JobId, services: ServicesDep) -> Job:
        return services.jobs.get(job_id, kind)

    def follow_events(job_id: JobId, request: Request, services: ServicesDep) -> StreamingResponse:
        job = services.jobs.get(job_id, kind)
        events = request.app.state.events.follow(job.id, request.headers.get("last-event-id"))
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    name = f"{kind.name} job"
    router.get(
        "", response_model=Page[record], responses=documented(), name=f"List {name}s", description="Newest first."
    )(list_jobs)
    router.get("/{job_id}", response_model=record, responses=documented(404), name=f"Get {name}")(get_job)
    router.get(
        "/{job_id}/events",
        response_class=Response,
        responses=documented(404, also={200: {"content": {"text/event-stream": {}}}}),
        name=f"Follow {name}",
        description="Server-sent events `progress`, `state` and the kind's own. The stream ends with the job; "
        "`Last-Event-ID` resumes it.",
    )(follow_events)


def _add_control(router: APIRouter, kind: JobKind) -> None:
    name, record = f"{kind.name} job", kind.record

    def cancel_job(job_id: JobId, services: ServicesDep, response: Response) -> Job:
        services.jobs.get(job_id, kind)
        try:
            return services.jobs.cancel(job_id)
        except JobEnded as error:
            response.status_code = 200
            return error.job

    def resume_job(job_id: JobId, services: ServicesDep) -> Job:
        services.jobs.get(job_id, kind)
        job = services.jobs.resume(job_id)
        _enqueue(services, job)
        return job

    ended: dict[int | str, dict[str, Any]] = {
        200: {"model": record, "description": "It had ended already; nothing was changed"}
    }
    router.post(
        "/{job_id}/cancel",
        status_code=202,
        response_model=record,
        responses=documented(404, 409, also=ended),
        name=f"Cancel {name}",
        description="Ends the job and keeps its checkpoints.",
    )(cancel_job)
    router.post(
        "/{job_id}/resume",
        status_code=202,
        response_model=record,
        responses=documented(404, 409),
        name=f"Resume {name}",
        description="Continues a failed or cancelled job from its last checkpoint.",
    )(resume_job)


def _enqueue(services: Services, job: Job) -> None:
    """Enqueues the job's next segment. If that fails, the job is there all the same, and the reaper enqueues it."""
    try:
        services.queues.send_segment(job, request_id.get())
    except (RedisError, OperationalError) as error:
        log.warning("cannot enqueue a segment of job %s yet: %s", job.id, error)
