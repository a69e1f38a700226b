"""Evaluations of a model version: their submission and their list, beside the calls of every kind of job."""

from fastapi import APIRouter, Response

from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.job_routes import add_job_routes, job_router, submit
from flawsmith.app.paging import Cursor, Limit, Page, decode, encode
from flawsmith.app.problems import documented, invalid
from flawsmith.app.routes.models import ModelName, Number
from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.evaluation_request import CannotEvaluate, EvaluationRequest, resolve_evaluation, total_steps
from flawsmith.core.domain.job_kinds.evaluation import KIND, EvaluationJob
from flawsmith.core.domain.jobs import Job, Progress
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.priors import UnknownPrior
from flawsmith.core.store.registry import UnknownModel

READ_AT_ONCE = 200  # records, in search of those of one version

of_version = APIRouter(
    prefix="/models/{name}/versions/{version}/evaluations", tags=["evaluation jobs"], route_class=IdempotentRoute
)
router = job_router(KIND)


@of_version.post("", status_code=202, response_model=EvaluationJob, responses=documented(404, 409, 415, 429))
def create_evaluation(
    name: ModelName,
    version: Number,
    body: EvaluationRequest,
    services: ServicesDep,
    response: Response,
    caller: CallerDep,
) -> Job:
    """Accepts an evaluation. What cannot be done is refused here, before anything is queued."""
    job = _resolved(services.registry.version(name, version), body, services)
    return submit(services, KIND, job, response, caller, body)


@of_version.get("", responses=documented(404))
def list_evaluations_of_version(
    name: ModelName, version: Number, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[EvaluationJob]:
    """The version's evaluations, newest first."""
    card = services.registry.version(name, version)
    found: list[EvaluationJob] = []
    before = decode(cursor)
    while len(found) <= limit:
        jobs = services.jobs.page(KIND, None, READ_AT_ONCE, before)
        found += [each for each in jobs if isinstance(each, EvaluationJob) and each.version == card.ref]
        if len(jobs) < READ_AT_ONCE:
            break
        before = jobs[-1].id
    more = len(found) > limit
    return Page(items=found[:limit], next_cursor=encode(found[limit - 1].id) if more else None)


def _resolved(version: ModelVersion, body: EvaluationRequest, services: Services) -> Job:
    """The job with its whole configuration. Raises Problem."""
    try:
        dataset = services.datasets.get(body.dataset)
    except UnknownDataset as error:
        raise invalid("/dataset", str(error)) from error
    try:
        measured = services.datasets.measured(dataset, crop_of(version.config), version.resolution)
        config = resolve_evaluation(body, measured, version)
        _check_origin(version, body, services)
    except CannotEvaluate as error:
        raise invalid(error.pointer, error.detail) from error
    progress = Progress(total_steps=total_steps(config))
    return KIND.new_job(config=config, progress=progress, version=version.ref, dataset=dataset.id)


def _check_origin(version: ModelVersion, body: EvaluationRequest, services: Services) -> None:
    """Raises CannotEvaluate where training again would have to start from weights that are not there."""
    if not body.retrain:
        return
    try:
        if origin := version.config.get("init_from"):
            services.registry.resolve(origin)
        elif prior := version.config.get("prior"):
            services.priors.path(prior)
    except (UnknownModel, UnknownPrior) as error:
        raise CannotEvaluate(
            "/retrain", f"{version.ref} cannot be trained again: {error}. 'retrain': false samples it as it is"
        ) from error


add_job_routes(router, KIND)
