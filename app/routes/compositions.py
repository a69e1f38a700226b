"""Compositions: their submission and their archives, beside the calls of every kind of job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.job_archives import archive_answers, archive_response, check_withdrawn, why_no_archive
from flawsmith.app.job_routes import JobId, add_job_routes, job_router, submit
from flawsmith.app.problems import Problem, documented, invalid
from flawsmith.app.scored_floor import scored_floor
from flawsmith.app.sent_images import SentImage, sent_image
from flawsmith.core.domain.composition_request import (
    CannotCompose,
    CompositionRequest,
    chosen_source,
    region_of,
    resolve_composition,
    resolve_generated,
)
from flawsmith.core.domain.job_kinds.composition import KIND, CompositionJob
from flawsmith.core.domain.jobs import Job, Progress
from flawsmith.core.domain.records import Dataset, ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.background_image import FILE as BACKGROUND
from flawsmith.core.store.composition_material import annotated_defects, clean_photographs, region_of_mask
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.job_folder import JobFolder

router: APIRouter = job_router(KIND)


@router.post("", status_code=202, response_model=CompositionJob, responses=documented(404, 409, 413, 415, 429))
async def create_composition(
    body: CompositionRequest, request: Request, services: ServicesDep, response: Response, caller: CallerDep
) -> Job:
    """Accepts a composition job. The same body with the same version or datasets makes the same archive, byte by byte.

    What cannot be done is refused here, before anything is queued.
    """
    image = None
    if body.sends_background:
        image = await sent_image(request, "/background", body.background, services.settings)
    return await run_in_threadpool(_create, body, image, services, response, caller)


@router.get("/{job_id}/archive", response_class=FileResponse, responses=archive_answers(410))
def get_composition_archive(request: Request, job_id: JobId, services: ServicesDep) -> Response:
    """The zip that the job made, in the layout COCO with a mask beside each image. `Range` continues a download.

    410 once one of the generated images in it is withdrawn.
    """
    job = services.jobs.get(job_id, KIND)
    assert isinstance(job, CompositionJob)
    if job.result is None:
        raise Problem(404, "not-found", why_no_archive(job, KIND))
    folder = JobFolder(services.store, job.id)
    if job.config["source"] == "generated":
        check_withdrawn(folder, services)
    return archive_response(request, folder, job.result.sha256, f"{job.id}.zip")


add_job_routes(router, KIND)


def _create(
    body: CompositionRequest, image: SentImage | None, services: Services, response: Response, caller: str
) -> Job:
    version = services.registry.resolve(body.model) if body.model else None
    try:
        source = chosen_source(body, version)
        background = _Background.sent(image, body) if image else _Background.of_dataset(body, services)
        region = background.region(body)
        if source == "generated" and version:
            config = resolve_generated(body, version, region, scored_floor(version, services))
            defects = None
        else:
            defects = _defects(version, body, services)
            config = resolve_composition(body, annotated_defects(services.datasets, defects.id), defects.name, region)
    except CannotCompose as error:
        raise invalid(error.pointer, error.detail) from error
    fields = {
        "version": version and version.ref,
        "defects": defects and defects.id,
        "background": background.dataset,
    }
    progress = Progress(total_steps=body.count)
    job = KIND.new_job(config={**config, **background.described}, progress=progress, **fields)
    return submit(services, KIND, job, response, caller, body, background.files)


@dataclass(frozen=True)
class _Background:
    """The clean photographs: their sizes, and either the id of their dataset or, of one, its description and file."""

    sizes: Sequence[tuple[int, int]]
    dataset: str | None = None
    described: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of_dataset(cls, body: CompositionRequest, services: Services) -> Self:
        """Raises CannotCompose."""
        dataset = _dataset("/background", body.background, services)
        photographs = clean_photographs(services.datasets, dataset.id)
        if not photographs:
            raise CannotCompose(
                "/background",
                f"no photograph of '{dataset.name}' is known to be clean: defects are annotated in some, and the "
                "others may show some too; put clean ones into a folder 'good', or into a dataset of their own",
            )
        return cls(sorted({each.annotations.size for each in photographs}), dataset.id)

    @classmethod
    def sent(cls, image: SentImage, body: CompositionRequest) -> Self:
        """Raises CannotCompose."""
        if body.split:
            detail = "a background is in one split only, and all images have this one; leave this out"
            raise CannotCompose("/split", detail)
        described = {"sha256": image.sha256, "size": list(image.file.size), "mode": image.file.mode}
        return cls([image.file.size], None, {"image": described}, {BACKGROUND: image.file.png})

    def region(self, body: CompositionRequest) -> dict[str, Any] | None:
        """Where defects may lie, for the job's configuration. Raises CannotCompose."""
        if isinstance(body.region, str):
            return region_of_mask(body.region, self.sizes)
        return region_of(body.region, self.sizes) if body.region else None


def _defects(version: ModelVersion | None, body: CompositionRequest, services: Services) -> Dataset:
    """The dataset that the defects are from. Raises CannotCompose, Problem."""
    if version is None:
        return _dataset("/defects", str(body.defects), services)
    try:
        return services.datasets.of_digest(version.dataset_digest)
    except UnknownDataset as error:
        detail = (
            f"the photographs that {version.ref} was trained on were deleted; upload them again, name a dataset with "
            "annotated defects in 'defects' instead of 'model', or give the version masks: POST /models/"
            f"{version.model}/versions/{version.version}/labels"
        )
        raise Problem(409, "conflict", detail) from error


def _dataset(pointer: str, name: str, services: Services) -> Dataset:
    """Raises CannotCompose."""
    try:
        return services.datasets.get(name)
    except UnknownDataset as error:
        raise CannotCompose(pointer, str(error)) from error
