"""Quality reports: of a version as JSON and as a page, the call that makes one again, and the jobs that make them."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from flawsmith.app.conditional import NOT_MODIFIED, content_response
from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.job_routes import add_job_routes, job_router, submit
from flawsmith.app.problems import Problem, documented
from flawsmith.app.routes.models import ModelName, Number
from flawsmith.core.domain.job_kinds.report import KIND, ReportJob, new_report_job
from flawsmith.core.domain.jobs import Job, JobState
from flawsmith.core.domain.quality_report import QualityReport
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.version_report import job_file, page_file, report_file, save_report_job

REVALIDATED = {"Cache-Control": "no-cache"}  # a report may be made again
PAGE_HEADERS = REVALIDATED | {
    # The page needs its own style sheet and its own pictures: whatever else a name smuggled in would not be loaded.
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

router = job_router(KIND)
add_job_routes(router, KIND)

of_version = APIRouter(prefix="/models", tags=["models"], route_class=IdempotentRoute)


@of_version.get(
    "/{name}/versions/{version}/report",
    response_class=Response,
    responses=documented(404, also={200: {"model": QualityReport}, **NOT_MODIFIED}),
)
def get_report(request: Request, name: ModelName, version: Number, services: ServicesDep) -> Response:
    """The quality report: verdict, measures beside photographs and photographs made worse, copies, coverage."""
    content = _read(services, services.registry.version(name, version), report_file)
    return content_response(request, content, "application/json", REVALIDATED)


@of_version.get(
    "/{name}/versions/{version}/report.html",
    response_class=Response,
    responses=documented(404, also={200: {"content": {"text/html": {}}}, **NOT_MODIFIED}),
)
def get_report_page(request: Request, name: ModelName, version: Number, services: ServicesDep) -> Response:
    """The quality report as one page for people; it needs nothing else, so it can be kept, printed and sent."""
    content = _read(services, services.registry.version(name, version), page_file)
    return content_response(request, content, "text/html", PAGE_HEADERS)


@of_version.post(
    "/{name}/versions/{version}/report",
    status_code=202,
    response_model=ReportJob,
    responses=documented(404, 409, 429),
)
def make_report(name: ModelName, version: Number, services: ServicesDep, response: Response, caller: CallerDep) -> Job:
    """Makes the report again, or the first time; the earlier one is shown until the new one is there."""
    card = services.registry.version(name, version)
    under_way = _newest_job(services, card)
    if under_way and not under_way.state.ended:
        response.headers["Location"] = f"{KIND.path}/{under_way.id}"
        return under_way
    try:
        dataset = services.datasets.of_digest(card.dataset_digest)
    except UnknownDataset as error:
        detail = f"the photographs of {card.ref} were deleted, and without them there is no report; upload them again"
        raise Problem(409, "conflict", detail) from error
    job = submit(services, KIND, new_report_job(card.ref, dataset.id), response, caller)
    save_report_job(services.registry.folder(card), job.id, services.store.write_bytes)
    return job


def _read(services: Services, version: ModelVersion, file: Any) -> bytes:
    """The content of a version's report. Raises Problem 404 with the reason."""
    path: Path = file(services.registry.folder(version))
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Problem(404, "not-found", _why_not(services, version)) from None


def _why_not(services: Services, version: ModelVersion) -> str:
    again = f"POST /models/{version.model}/versions/{version.version}/report makes it"
    job = _newest_job(services, version)
    if job is None:
        return f"no report of {version.ref} was made yet; {again}"
    if not job.state.ended:
        progress = f"{job.progress.step} of {job.progress.total_steps} steps are done"
        return f"the report of {version.ref} is being made ({KIND.path}/{job.id}: {progress}); try again shortly"
    if job.state is JobState.FAILED:
        return f"the report of {version.ref} could not be made: {job.error}. {again} again"
    if job.state is JobState.CANCELLED:
        return f"the report of {version.ref} was cancelled; {again}"
    return f"the report of {version.ref} was deleted; {again} again"


def _newest_job(services: Services, version: ModelVersion) -> Job | None:
    """The newest report job of a version, if there is one."""
    try:
        job_id = services.store.read_json(job_file(services.registry.folder(version)))["job"]
        return services.jobs.get(job_id, KIND)
    except (FileNotFoundError, UnknownJob):
        return None
