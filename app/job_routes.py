"""The calls of every kind of job: list, get, cancel, resume, delete and events. A kind's own router adds the others."""

import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.idempotency import IdempotentRoute, reserved_identity, takes_over
from flawsmith.app.paging import Cursor, Limit, Page, decode, encode
from flawsmith.app.problems import Problem, Responses, documented
from flawsmith.app.remarks import SearchedFor, Tagged, changed_by
from flawsmith.app.storage_limits import check_job_room, one_at_a_time
from flawsmith.app.webhook_check import check_webhook
from flawsmith.core.domain.job_states import JobEnded
from flawsmith.core.domain.jobs import Job, JobKind, JobState
from flawsmith.core.domain.remarks import Remarks, RemarksChange, RemarksFilter
from flawsmith.core.domain.webhook_targets import JobRequest
from flawsmith.core.live.job_events import has_events_after, parse_event_id
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.logs import request_id
from flawsmith.core.services import Services
from flawsmith.core.store.job_folder import JobFolder

log = logging.getLogger(__name__)

FULL_QUEUE_SECONDS = 60  # after which a job may have begun, and left the queue

Completed = Callable[[Any, Services], Job]

JobId = Annotated[str, Path(max_length=64)]

_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx passes on each event at once


def _as_stored(job: Any, services: Services) -> Job:
    return cast(Job, job)


def _outside(job: Job, services: Services) -> Job:
    """The record with its paths as callers see them."""
    root_path = services.settings.root_path
    found = {name: path for name in job.paths if root_path and (path := getattr(job, name))}
    return job.changed(**{name: root_path + path for name, path in found.items()}) if found else job


def job_router(kind: JobKind) -> APIRouter:
    """An empty router for the kind's own calls; `add_job_routes` then adds those of every kind."""
    return APIRouter(prefix=kind.path, tags=[f"{kind.name} jobs"], route_class=IdempotentRoute)


def check_room(services: Services, caller: str) -> None:
    """Raises Problem 429 where as many jobs are queued as may be: by all callers, or by this one."""
    bound = services.settings.max_queued_jobs
    own_bound = max(1, bound // 2)
    if services.jobs.counts()[JobState.QUEUED] >= bound:
        found = f"{bound} jobs are queued already"
    elif services.jobs.has_queued(caller, own_bound):
        found = f"{own_bound} jobs of yours are queued already"
    else:
        return
    detail = f"{found}; wait until some of them have begun, or cancel some"
    raise Problem(429, "busy", detail, {"Retry-After": str(FULL_QUEUE_SECONDS)})


def submit(
    services: Services,
    kind: JobKind,
    job: Job,
    response: Response,
    caller: str,
    body: JobRequest | None = None,
    files: Mapping[str, bytes] | None = None,
    check: Callable[[], None] | None = None,
) -> Job:
    """Records a new job, enqueues its first segment, and sets the header Location.

    A repeated call with an Idempotency-Key gets the job that the first call made before its process died. ``files`` are
    what the job's folder holds from the beginning, by their names. ``check`` may raise Problem to keep a new job out.
    """
    if body:
        job = as_asked(job, body, services)
    if reserved := reserved_identity.get():
        job = job.changed(id=kind.job_id(reserved))
    made = _find(services, job.id) if reserved else None
    if made is None:
        with one_at_a_time(services):
            check_room(services, caller)
            check_job_room(services)
            if check:
                check()
            _create(services, job, files or {})
        _enqueue(services, job, caller)
    job = made or job
    response.headers["Location"] = f"{kind.path}/{job.id}"
    return job


def as_asked(job: Job, body: JobRequest, services: Services) -> Job:
    """The job with what every submission may say. Raises Problem."""
    if body.webhook:
        check_webhook("/webhook/url", body.webhook.url, services.settings)
        job = job.changed(webhook=body.webhook)
    if body.note or body.tags:
        job = job.changed(**dict(Remarks(note=body.note, tags=body.tags, noted_at=job.created_at)))
    return job


def _create(services: Services, job: Job, files: Mapping[str, bytes]) -> None:
    """Records a job whose folder holds these files. They come first: a worker may begin at once. Raises RedisError."""
    folder = JobFolder(services.store, job.id)
    try:
        for name, content in files.items():
            services.store.write_bytes(folder.path / name, content)
        services.jobs.create(job)
    except BaseException:
        if files and not folder.record.exists():
            services.store.delete(folder.path)
        raise


def add_job_routes(router: APIRouter, kind: JobKind, completed: Completed = _as_stored) -> None:
    """Adds the calls of every kind, after the router's own: a path such as `/schema` must not be taken for an id.

    Args:
        router: of `job_router`.
        kind: of the jobs.
        completed: adds to a record what is true only at the moment at which it is read.
    """
    _add_reading(router, kind, completed)
    _add_remarks(router, kind, completed)
    _add_control(router, kind)


def _add_reading(router: APIRouter, kind: JobKind, completed: Completed) -> None:
    page: Any = Page[kind.record]  # type: ignore[name-defined]

    def list_jobs(
        services: ServicesDep,
        state: JobState | None = None,
        tag: Tagged = None,
        search: SearchedFor = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """Newest first."""
        jobs = services.jobs.page(kind, state, limit + 1, decode(cursor), RemarksFilter.of(tag, search))
        more = len(jobs) > limit
        shown = [_outside(completed(job, services), services) for job in jobs[:limit]]
        return page(items=shown, next_cursor=encode(jobs[limit - 1].id) if more else None)

    def get_job(job_id: JobId, services: ServicesDep) -> Any:
        """One job."""
        return _outside(completed(services.jobs.get(job_id, kind), services), services)

    def follow_events(job_id: JobId, request: Request, services: ServicesDep) -> Response:
        """Server-sent events: `progress`, `state` and the kind's own. Ends with the job; `Last-Event-ID` resumes.

        204 once the job has ended and no event is left: a browser's EventSource then stops reconnecting.
        """
        job = services.jobs.get(job_id, kind)
        last = request.headers.get("last-event-id")
        if job.state.ended and not has_events_after(services.redis, job.id, parse_event_id(last)):
            return Response(status_code=204)
        events = request.app.state.events.follow(job.id, last)
        return StreamingResponse(events, media_type="text/event-stream", headers=_STREAM_HEADERS)

    name = f"{kind.name}_job"
    stream: Responses = {
        200: {"content": {"text/event-stream": {}}},
        204: {"description": "The job has ended, and you have all its events"},
    }
    router.get("", name=f"list_{name}s", response_model=page, responses=documented())(list_jobs)
    router.get("/{job_id}", name=f"get_{name}", response_model=kind.record, responses=documented(404))(get_job)
    events_answers = documented(404, also=stream)
    router.get("/{job_id}/events", name=f"follow_{name}", response_class=Response, responses=events_answers)(
        follow_events
    )


def _add_remarks(router: APIRouter, kind: JobKind, completed: Completed) -> None:
    def update_job(job_id: JobId, body: RemarksChange, services: ServicesDep) -> Any:
        """Changes the note and the tags of a job, in whatever state it is."""
        job = services.jobs.remark(job_id, kind, changed_by(body))
        return _outside(completed(job, services), services)

    name, answers = f"update_{kind.name}_job", documented(404, 415)
    router.patch("/{job_id}", name=name, response_model=kind.record, responses=answers)(update_job)


def _add_control(router: APIRouter, kind: JobKind) -> None:
    def cancel_job(job_id: JobId, services: ServicesDep, response: Response) -> Any:
        """Ends the job and keeps its checkpoints."""
        services.jobs.get(job_id, kind)
        try:
            return _outside(services.jobs.cancel(job_id), services)
        except JobEnded as error:
            response.status_code = 200
            return _outside(error.job, services)

    def resume_job(job_id: JobId, services: ServicesDep, caller: CallerDep) -> Any:
        """Continues a failed or cancelled job from its last checkpoint."""
        services.jobs.get(job_id, kind)
        check_room(services, caller)
        check_job_room(services, new=0)
        try:
            job = services.jobs.resume(job_id)
        except JobEnded as error:
            if takes_over.get() and not error.job.state.ended:  # the call before it resumed the job
                return error.job
            raise
        _enqueue(services, job, caller)
        return job

    def delete_job(job_id: JobId, services: ServicesDep) -> Response:
        """Deletes a job that has ended, with its checkpoints, history and events. What it published stays."""
        services.jobs.delete(job_id, kind)
        return Response(status_code=204)

    name = f"delete_{kind.name}_job"
    router.delete("/{job_id}", name=name, status_code=204, responses=documented(404, 409))(delete_job)
    unchanged: Responses = {200: {"model": kind.record, "description": "It had ended already; nothing was changed"}}
    for action, call, also in (("cancel", cancel_job, unchanged), ("resume", resume_job, None)):
        router.post(
            f"/{{job_id}}/{action}",
            name=f"{action}_{kind.name}_job",
            status_code=202,
            response_model=kind.record,
            responses=documented(404, 409, 429, also=also),
        )(call)


def _find(services: Services, job_id: str) -> Job | None:
    try:
        return services.jobs.get(job_id)
    except UnknownJob:
        return None


def _enqueue(services: Services, job: Job, caller: str) -> None:
    """Enqueues the job's next segment. If that fails, the job is there all the same, and the reaper enqueues it."""
    try:
        services.jobs.count_for(caller, job)
        segment = services.queues.send_segment(job, request_id.get())
        log.info("job %s: segment %s is queued", job.id, segment)
    except (RedisError, OperationalError) as error:
        log.warning("cannot enqueue a segment of job %s yet: %s", job.id, error)
