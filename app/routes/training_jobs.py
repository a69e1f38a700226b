"""What training jobs have beside the calls of every kind: their submission, its schema, history and sample grids."""

import csv
import io
import math
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from flawsmith.app.conditional import NOT_MODIFIED, content_response
from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.job_routes import JobId, add_job_routes, as_asked, job_router, submit
from flawsmith.app.media import negotiated
from flawsmith.app.problems import PNG, Problem, Responses, documented, invalid, of_pydantic
from flawsmith.app.storage_limits import check_model_room
from flawsmith.core.domain.crops import crop_of
from flawsmith.core.domain.estimates import ResolvedTraining, estimate
from flawsmith.core.domain.health import data_warnings, judge
from flawsmith.core.domain.job_kinds.training import KIND, TrainingJob, TrainingProgress
from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.core.domain.records import Dataset
from flawsmith.core.domain.several_devices import several_devices
from flawsmith.core.domain.training_config import resolve_request
from flawsmith.core.domain.training_request import TrainingRequest, request_schema
from flawsmith.core.live.task_queues import TRAIN
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.core.store.registry import UnknownModel

router = job_router(KIND)

CSV = "text/csv"
_FORMATS = {"json": "application/json", "csv": CSV}
Format = Annotated[
    Literal["json", "csv"] | None, Query(description="says the same as the header Accept, and wins over it")
]

JOBS_READ = 200  # the newest ones, for the speed that they had

DryRun = Annotated[bool, Query(description="whether only to say what the job would be; nothing is enqueued")]


class History(BaseModel):
    """Recorded steps and, for each loss and each signal, its value at each of them.

    Signals come from evaluations and are null at other steps. `distance` is the distance of the fixed samples to the
    photographs; docs/presets.md explains the others.
    """

    steps: list[int]
    series: dict[str, list[float | None]]


_TRIED: Responses = {200: {"model": ResolvedTraining, "description": "With dry_run: nothing was enqueued"}}


@router.post("", status_code=202, response_model=TrainingJob, responses=documented(404, 409, 415, 429, also=_TRIED))
def create_training_job(
    body: TrainingRequest, services: ServicesDep, response: Response, caller: CallerDep, dry_run: DryRun = False
) -> Any:
    """Accepts a job. What cannot train is refused here, before anything is queued.

    With `dry_run=true` it only says what the job would be, and estimates how long it would take.
    """
    job = _resolved(body, services)
    if dry_run:
        as_asked(job, body, services)  # refuses what the call itself refuses
        return JSONResponse(_tried(job, services).model_dump(mode="json"))
    room = partial(check_model_room, services, job.model)
    return submit(services, KIND, job, response, caller, body, check=room)


@router.get("/schema", responses=documented())
def get_training_job_schema() -> dict[str, Any]:
    """JSON Schema of the body of POST /training-jobs."""
    return request_schema()


_HISTORY: Responses = {
    200: {"model": History, "content": {"application/json": {}, CSV: {}}},  # generators of clients take the first
    **NOT_MODIFIED,
}


@router.get(
    "/{job_id}/history",
    response_class=Response,
    responses=documented(
        404, 406, also={200: {"model": History, "content": {"application/json": {}, CSV: {}}}, **NOT_MODIFIED}
    ),
)
def get_training_job_history(request: Request, job_id: JobId, services: ServicesDep, format: Format = None) -> Response:
    """The losses and signals so far: at most about a thousand steps, however long the job is. JSON, or a table as CSV.

    The table has a line for each step and a column for each name; a cell is empty where the JSON has null.
    """
    chosen = _FORMATS[format] if format else negotiated(request, tuple(_FORMATS.values()))
    points = services.history.read(services.jobs.get(job_id, KIND).id)
    names = [name for name in dict.fromkeys(name for point in points for name in point) if name != "step"]
    found = History(
        steps=[int(point["step"]) for point in points],
        series={name: [point.get(name) for point in points] for name in names},
    )
    headers = {"Cache-Control": "no-cache", "Vary": "Accept"}
    if chosen == CSV:
        named = {"Content-Disposition": f'attachment; filename="{job_id}.csv"'}
        return content_response(request, _table(found), CSV, headers | named)
    return content_response(request, found.model_dump_json().encode(), chosen, headers)


def _table(history: History) -> bytes:
    """As CSV (RFC 4180) with a header."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["step", *history.series])
    cells = (
        ["" if each is None or not math.isfinite(each) else repr(each) for each in values]
        for values in history.series.values()
    )
    writer.writerows(zip(history.steps, *cells, strict=True))
    return text.getvalue().encode()


class SampleSteps(BaseModel):
    """The steps that have a sample grid, the first one first."""

    steps: list[int]


@router.get("/{job_id}/samples", responses=documented(404))
def training_job_samples(job_id: JobId, services: ServicesDep) -> SampleSteps:
    """Which sample grids there are: one of each evaluation, at most 50 or so."""
    return SampleSteps(steps=_folder(job_id, services).sample_steps())


_GRID = documented(404, also={**PNG, **NOT_MODIFIED})


@router.get("/{job_id}/samples/latest.png", response_class=Response, responses=_GRID)
def get_latest_sample(request: Request, job_id: JobId, services: ServicesDep) -> Response:
    """The newest sample grid."""
    path = _folder(job_id, services).latest_sample()
    if path is None:
        raise Problem(404, "not-found", "there is no sample grid yet; the first comes with the first step")
    return content_response(request, path.read_bytes(), "image/png", {"Cache-Control": "no-cache"})


@router.get("/{job_id}/samples/{step}.png", response_class=Response, responses=_GRID)
def get_sample(
    request: Request, job_id: JobId, step: Annotated[int, Path(ge=0, le=999_999_999)], services: ServicesDep
) -> Response:
    """The sample grid of a step: the same latents at every step."""
    path = _folder(job_id, services).sample(step)
    if not path.exists():
        raise Problem(404, "not-found", f"there is no sample grid of step {step}; latest.png is the newest")
    return content_response(request, path.read_bytes(), "image/png")


def _tried(job: TrainingJob, services: Services) -> ResolvedTraining:
    """What the job would be and take."""
    recorded = [each for each in services.jobs.page(KIND, None, JOBS_READ, None) if isinstance(each, TrainingJob)]
    dataset = services.datasets.measured(
        services.datasets.get(job.dataset), crop_of(job.config), job.config["resolution"]
    )
    return ResolvedTraining(
        model=job.model,
        dataset=job.dataset,
        preset=job.preset,
        config=job.config,
        notes=job.notes,
        health=job.health,
        estimate=estimate(PRESETS[job.preset], job.config, dataset, recorded, job.devices),
    )


def _resolved(body: TrainingRequest, services: Services) -> TrainingJob:
    """The job with its whole configuration. Raises Problem."""
    try:
        dataset = services.datasets.get(body.dataset)
    except UnknownDataset as error:
        raise invalid("/dataset", str(error)) from error
    try:
        origin = services.registry.resolve(body.init_from) if body.init_from is not None else None
    except UnknownModel as error:
        raise invalid("/init_from", str(error)) from error
    try:
        resolved = resolve_request(
            body,
            dataset,
            origin,
            services.priors.cards,
            services.datasets.measured,
            services.datasets.masked_photographs,
        )
    except ValidationError as error:
        raise of_pydantic(error, PRESETS[body.preset].overrides, "/overrides") from error
    config = resolved.config
    most = services.queues.most_devices(TRAIN) if body.devices > 1 else None
    notes = [*resolved.notes, *several_devices(body, config, most)]
    if not PRESETS[body.preset].has_networks:
        _check_clean(dataset, config, services)
    measured = services.datasets.measured(dataset, crop_of(config), config["resolution"])
    job = KIND.new_job(
        config=config,
        progress=TrainingProgress(total_steps=config["total_steps"]),
        notes=notes,
        devices=body.devices,
        model=body.model,
        dataset=dataset.id,
        preset=body.preset,
        health=judge(data_warnings(measured, config)),
    )
    assert isinstance(job, TrainingJob)
    return job


def _check_clean(dataset: Dataset, config: dict[str, Any], services: Services) -> None:
    """Raises Problem 422 where defects cannot be composed onto anything."""
    side = config["resolution"]
    if not services.datasets.has_clean(dataset.id, side, crop_of(config)):
        raise invalid(
            "/dataset",
            f"'{dataset.name}' has neither clean photographs nor a place of {side} x {side} pixels without a defect to "
            "compose images on; upload it with a folder 'good' of clean photographs, or choose a lower 'resolution'",
        )


def _folder(job_id: str, services: Services) -> JobFolder:
    """Raises UnknownJob."""
    return JobFolder(services.store, services.jobs.get(job_id, KIND).id)


def _with_service(job: TrainingJob, services: Services) -> TrainingJob:
    """The record with whether the bare model name means the job's version now."""
    if job.produced is None:
        return job
    return job.changed(served_by_name=job.produced == f"{job.model}@{services.registry.serves(job.model)}")


add_job_routes(router, KIND, _with_service)
