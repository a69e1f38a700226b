"""Comparisons of two versions of a model: the call of a version, and the jobs that make them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from flawsmith.app.conditional import NOT_MODIFIED, content_response
from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.job_routes import add_job_routes, job_router, submit
from flawsmith.app.problems import Problem, documented, invalid
from flawsmith.app.routes.models import ModelName, Number
from flawsmith.core.domain.job_kinds.comparison import KIND, ComparisonJob, new_comparison_job
from flawsmith.core.domain.jobs import Job, JobState
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.domain.version_comparison import VersionComparison
from flawsmith.core.live.job_repository import UnknownJob
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.version_comparisons import (
    comparison_file,
    comparison_job_file,
    comparisons_folder,
    save_comparison_job,
)

RETRY_SECONDS = 5  # between two looks of a client; a comparison takes some tens of seconds
REVALIDATED = {"Cache-Control": "no-cache"}
FEWEST = 2  # photographs of a type

Other = Annotated[str, Query(alias="with", max_length=16, description="number of the other version of the model")]
DatasetName = Annotated[
    str | None,
    Query(max_length=64, description="name or id of the data set to judge both on; that of the newer version if unset"),
]

of_version = APIRouter(prefix="/models", tags=["models"], route_class=IdempotentRoute)
router = job_router(KIND)
add_job_routes(router, KIND)


@of_version.get(
    "/{name}/versions/{version}/compare",
    response_class=Response,
    responses=documented(
        404,
        409,
        429,
        also={
            200: {"model": VersionComparison},
            202: {
                "model": ComparisonJob,
                "description": "It is being made, by the job at `Location`; ask again after `Retry-After` seconds",
            },
            **NOT_MODIFIED,
        },
    ),
)
def compare_versions(
    request: Request,
    name: ModelName,
    version: Number,
    services: ServicesDep,
    caller: CallerDep,
    other: Other,
    dataset: DatasetName = None,
) -> Response:
    """Judges two versions of a model on the same photographs, held out of the training of both where there are some.

    The first call has a worker make the comparison and answers 202; the same call answers 200 once it is there.
    """
    card = services.registry.version(name, version)
    against = services.registry.version(name, other)
    photographs = _photographs(card, against, dataset, services)
    _check_common(card, against, photographs)
    folder = services.registry.folder(card)
    stored = comparison_file(folder, against.version, photographs.id)
    if not stored.exists():
        job = _job(card, against, photographs, services, caller)
        if job is not None:
            headers = {"Location": f"{KIND.path}/{job.id}", "Retry-After": str(RETRY_SECONDS)}
            return JSONResponse(job.model_dump(mode="json"), 202, headers)
    return content_response(request, stored.read_bytes(), "application/json", REVALIDATED)


def _photographs(card: ModelVersion, against: ModelVersion, named: str | None, services: Services) -> Dataset:
    """The data set to judge on. Raises UnknownDataset, or Problem where the versions or the data set are none."""
    if card.version == against.version:
        others = [f"{each}" for each in services.registry.model(card.model).versions if each != card.version]
        right = f"the others: {', '.join(others[:20])}" if others else f"'{card.model}' has no other version yet"
        raise invalid("/query/with", f"a version is compared with another one; {right}")
    if named is not None:
        return services.datasets.get(named)
    newer = max(card, against, key=lambda each: each.version)
    try:
        return services.datasets.of_digest(newer.dataset_digest)
    except UnknownDataset as error:
        detail = (
            f"the photographs of {newer.ref}, the newer version, were deleted; "
            "name another data set to judge both on with 'dataset', or upload them again"
        )
        raise Problem(409, "conflict", detail) from error


def _check_common(card: ModelVersion, against: ModelVersion, dataset: Dataset) -> None:
    """Raises Problem 422 where there is nothing that both versions make and the data set shows."""
    common = [each for each in card.classes if each in against.classes]
    if not common:
        both = "; ".join(f"{each.ref} makes {', '.join(each.classes)}" for each in (card, against))
        raise invalid("/query/with", f"the versions have no defect type in common: {both}")
    if not any(dataset.classes.get(each, 0) >= FEWEST for each in common):
        known = ", ".join(f"{count} of '{name}'" for name, count in list(dataset.classes.items())[:20])
        raise invalid(
            "/query/dataset",
            f"'{dataset.name}' has not {FEWEST} photographs of {', '.join(common)}; it has {known}",
        )


def _job(card: ModelVersion, against: ModelVersion, dataset: Dataset, services: Services, caller: str) -> Job | None:
    """The job that makes the comparison, a new one where there is none; None where the result is there by now.

    Of calls at the same time, one makes the job.

    Raises:
        Problem: 409 where the job failed or was cancelled, 429 where too many jobs are queued.
    """
    folder = services.registry.folder(card)
    with services.store.locked(comparisons_folder(folder)):
        if comparison_file(folder, against.version, dataset.id).exists():
            return None
        job = _newest_job(card, against, dataset, services)
        if job is None or job.state is JobState.SUCCEEDED:
            new = new_comparison_job((card.ref, against.ref), dataset.id)
            job = submit(services, KIND, new, Response(), caller)
            save_comparison_job(folder, against.version, dataset.id, job.id, services.store.write_bytes)
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        why = f"could not be made: {job.error}" if job.state is JobState.FAILED else "was cancelled"
        again = f"POST {KIND.path}/{job.id}/resume tries again"
        raise Problem(409, "conflict", f"the comparison of {card.ref} with {against.ref} {why}; {again}")
    return job


def _newest_job(card: ModelVersion, against: ModelVersion, dataset: Dataset, services: Services) -> Job | None:
    try:
        path = comparison_job_file(services.registry.folder(card), against.version, dataset.id)
        return services.jobs.get(services.store.read_json(path)["job"], KIND)
    except (FileNotFoundError, UnknownJob):
        return None
