"""Exports: their submission and their archives, beside the calls of every kind of job."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.image_attributes import of_body
from flawsmith.app.job_archives import archive_answers, archive_response, check_withdrawn, why_no_archive
from flawsmith.app.job_routes import JobId, add_job_routes, job_router, submit
from flawsmith.app.problems import Problem, documented, invalid
from flawsmith.app.scored_floor import scored_floor
from flawsmith.core.domain.export_layouts import version_labels
from flawsmith.core.domain.export_request import CannotExport, ExportRequest, resolve_composition_export, resolve_export
from flawsmith.core.domain.job_kinds.composition import KIND as COMPOSITIONS
from flawsmith.core.domain.job_kinds.composition import CompositionJob
from flawsmith.core.domain.job_kinds.export import KIND, ExportJob
from flawsmith.core.domain.jobs import Job, Progress
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.reference_photographs import FILE as REFERENCES

router: APIRouter = job_router(KIND)


@router.post("", status_code=202, response_model=ExportJob, responses=documented(404, 409, 410, 415, 429))
def create_export(body: ExportRequest, services: ServicesDep, response: Response, caller: CallerDep) -> Job:
    """Accepts an export. The same body on the same version makes the same archive, byte by byte.

    What cannot be done is refused here, before anything is queued.
    """
    job = _of_composition(body, services) if body.composition else _of_version(body, services)
    return submit(services, KIND, job, response, caller, body)


@router.get("/{job_id}/archive", response_class=FileResponse, responses=archive_answers(410))
def get_export_archive(request: Request, job_id: JobId, services: ServicesDep) -> Response:
    """The zip that the export made. `Range` continues a broken download. 410 once one of its images is withdrawn."""
    job = services.jobs.get(job_id, KIND)
    assert isinstance(job, ExportJob)
    folder = JobFolder(services.store, job.id)
    if job.result is None:
        raise Problem(404, "not-found", why_no_archive(job, KIND))
    check_withdrawn(folder, services)
    exported = job.composition or (job.version or "").replace("@", "-")
    return archive_response(request, folder, job.result.sha256, f"{exported}-{job.layout}.zip")


add_job_routes(router, KIND)


def _of_version(body: ExportRequest, services: Services) -> Job:
    """The job of an export of a version's images. Raises Problem."""
    version = services.registry.resolve(str(body.model))
    try:
        given = body.attributes or {}
        config = resolve_export(
            body,
            version,
            version_labels(version),
            scored_floor(version, services),
            lambda types: of_body(version, given, types),
        )
    except CannotExport as error:
        raise invalid(error.pointer, error.detail) from error
    dataset = _dataset(version, services) if body.max_similarity is not None else None
    progress = Progress(total_steps=sum(config["counts"].values()))
    fields = {"version": version.ref, "layout": body.layout, "dataset": dataset}
    return KIND.new_job(config=config, progress=progress, **fields)


def _of_composition(body: ExportRequest, services: Services) -> Job:
    """The job of an export of a composition job's images. Raises Problem."""
    composition = services.jobs.get(str(body.composition), COMPOSITIONS)
    assert isinstance(composition, CompositionJob)
    if composition.result is None:
        detail = f"composition job {composition.id} is {composition.state}; only one that has succeeded has images"
        raise Problem(409, "conflict", detail)
    if composition.config["source"] == "generated":
        check_withdrawn(JobFolder(services.store, composition.id), services)
    try:
        config = resolve_composition_export(body, composition.result.images)
    except CannotExport as error:
        raise invalid(error.pointer, error.detail) from error
    progress = Progress(total_steps=config["count"])
    return KIND.new_job(config=config, progress=progress, composition=composition.id, layout=body.layout)


def _dataset(version: ModelVersion, services: Services) -> str | None:
    """The id of the version's photographs, None if they are another data set's by now. Raises Problem 409."""
    if not (services.registry.folder(version) / REFERENCES).exists():
        detail = (
            f"{version.ref} has no reference photographs to compare with: an earlier release published it, or the "
            "dataset that it was trained on was deleted; train the model again on its photographs, or leave out "
            "'max_similarity'"
        )
        raise Problem(409, "no-references", detail)
    try:
        return services.datasets.of_digest(version.dataset_digest).id
    except UnknownDataset:
        return None
