"""Compositions: their submission and their archives, beside the calls of every kind of job."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.job_archives import archive_answers, archive_response, why_no_archive
from flawsmith.app.job_routes import JobId, add_job_routes, job_router, submit
from flawsmith.app.problems import Problem, documented, invalid
from flawsmith.core.domain.composition_request import (
    CannotCompose,
    CompositionRequest,
    check_source,
    region_of,
    resolve_composition,
)
from flawsmith.core.domain.job_kinds.composition import KIND, CompositionJob
from flawsmith.core.domain.jobs import Job, Progress
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.composition_material import annotated_defects, clean_photographs, region_of_mask
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.job_folder import JobFolder

router: APIRouter = job_router(KIND)


@router.post("", status_code=202, response_model=CompositionJob, responses=documented(404, 409, 415, 429))
def create_composition(body: CompositionRequest, services: ServicesDep, response: Response, caller: CallerDep) -> Job:
    """Accepts a composition job. The same body on the same datasets makes the same archive, byte by byte.

    What cannot be done is refused here, before anything is queued.
    """
    version = services.registry.resolve(body.model) if body.model else None
    try:
        check_source(body)
        defects = _defects(version, body, services)
        background = _dataset("/background", body.background, services)
        region = _region(body, background, services)
        config = resolve_composition(body, annotated_defects(services.datasets, defects.id), defects.name, region)
    except CannotCompose as error:
        raise invalid(error.pointer, error.detail) from error
    fields = {"version": version and version.ref, "defects": defects.id, "background": background.id}
    job = KIND.new_job(config=config, progress=Progress(total_steps=body.count), **fields)
    return submit(services, KIND, job, response, caller, body.webhook)


@router.get("/{job_id}/archive", response_class=FileResponse, responses=archive_answers())
def get_composition_archive(request: Request, job_id: JobId, services: ServicesDep) -> Response:
    """The zip that the job made, in the layout COCO with a mask beside each image. `Range` continues a download."""
    job = services.jobs.get(job_id, KIND)
    assert isinstance(job, CompositionJob)
    if job.result is None:
        raise Problem(404, "not-found", why_no_archive(job, KIND))
    return archive_response(request, JobFolder(services.store, job.id), job.result.sha256, f"{job.id}.zip")


add_job_routes(router, KIND)


def _defects(version: ModelVersion | None, body: CompositionRequest, services: Services) -> Dataset:
    """The dataset that the defects are from. Raises CannotCompose, Problem."""
    if version is None:
        return _dataset("/defects", str(body.defects), services)
    try:
        return services.datasets.of_digest(version.dataset_digest)
    except UnknownDataset as error:
        detail = (
            f"the photographs that {version.ref} was trained on were deleted; upload them again, or name a dataset "
            "with annotated defects in 'defects' instead of 'model'"
        )
        raise Problem(409, "conflict", detail) from error


def _dataset(pointer: str, name: str, services: Services) -> Dataset:
    """Raises CannotCompose."""
    try:
        return services.datasets.get(name)
    except UnknownDataset as error:
        raise CannotCompose(pointer, str(error)) from error


def _region(body: CompositionRequest, background: Dataset, services: Services) -> dict[str, Any] | None:
    """Where defects may lie, for the job's configuration. Raises CannotCompose."""
    photographs = clean_photographs(services.datasets, background.id)
    if not photographs:
        raise CannotCompose(
            "/background",
            f"no photograph of '{background.name}' is known to be clean: defects are annotated in some, and the others "
            "may show some too; put clean ones into a folder 'good', or into a dataset of their own",
        )
    sizes = sorted({each.annotations.size for each in photographs})
    if isinstance(body.region, str):
        return region_of_mask(body.region, sizes)
    return region_of(body.region, sizes) if body.region else None
