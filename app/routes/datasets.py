"""Datasets: upload, list, preview and delete photographs."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from flawsmith.app.conditional import NOT_MODIFIED, content_response
from flawsmith.app.dataset_removal import check_unused, delete_photographs
from flawsmith.app.dataset_uploads import receive_dataset, request_body
from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.paging import Cursor, Limit, Page, page
from flawsmith.app.problems import PNG, documented
from flawsmith.app.routes.models import PublishedVersion, published
from flawsmith.core.domain.records import Dataset, ModelVersion

router = APIRouter(prefix="/datasets", tags=["datasets"])
repeatable = APIRouter(prefix="/datasets", tags=["datasets"], route_class=IdempotentRoute)

DatasetId = Annotated[str, Path(max_length=64)]


@router.post(
    "",
    status_code=201,
    response_model=Dataset,
    responses=documented(
        408, 409, 415, also={200: {"model": Dataset, "description": "The name stands for this content already"}}
    ),
    openapi_extra={"requestBody": request_body(name_required=True)},
)
async def create_dataset(request: Request, services: ServicesDep) -> Response:
    """Uploads an archive (each folder names the defect type of its images) or single images of one type."""
    return await receive_dataset(request, services)


@router.post(
    "/{dataset_id}/photographs",
    status_code=201,
    response_model=Dataset,
    responses=documented(
        404, 408, 409, 415, also={200: {"model": Dataset, "description": "There is such a dataset already"}}
    ),
    openapi_extra={"requestBody": request_body(name_required=False)},
)
async def add_photographs(request: Request, dataset_id: DatasetId, services: ServicesDep) -> Response:
    """Makes a new dataset: the photographs of this one, then those of the upload that it does not have.

    The new one names this one as its `parent`, and `added` says what came, and which photographs are near-duplicates.
    """
    return await receive_dataset(request, services, dataset_id)


@router.get("", responses=documented())
def list_datasets(services: ServicesDep, limit: Limit = 50, cursor: Cursor = None) -> Page[Dataset]:
    """All datasets, newest first."""
    return page(services.datasets.list(), lambda each: f"{each.created_at.isoformat()} {each.id}", limit, cursor)


@router.get("/{dataset_id}", responses=documented(404))
def get_dataset(dataset_id: DatasetId, services: ServicesDep) -> Dataset:
    """One dataset, by its id or name."""
    return services.datasets.get(dataset_id)


@router.get("/{dataset_id}/versions", responses=documented(404))
def list_trained_versions(
    dataset_id: DatasetId, services: ServicesDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[PublishedVersion]:
    """The model versions that were trained on this content, newest first.

    Deleting the last dataset with it deletes their reference photographs: see DELETE.
    """
    found = services.registry.trained_on(services.datasets.get(dataset_id).digest)
    found.sort(key=_age, reverse=True)
    shown = page(found, _age, limit, cursor)
    return Page(items=[published(each, services) for each in shown.items], next_cursor=shown.next_cursor)


def _age(version: ModelVersion) -> str:
    return f"{version.created_at.isoformat()} {version.ref}"


@repeatable.delete("/{dataset_id}", status_code=204, responses=documented(404, 409))
def delete_dataset(dataset_id: DatasetId, services: ServicesDep) -> Response:
    """Deletes a dataset that no unfinished job uses, and the reference photographs of the versions trained on it.

    `X-Affected-Versions` names these versions: `max_similarity` and `nearest` answer 409 for them from then on. They
    keep the photographs while another dataset has the same content or continues this one.
    """
    dataset = services.datasets.get(dataset_id)
    check_unused(services, dataset)
    headers = delete_photographs(services, dataset)  # first: no picture may stay behind where this process dies
    services.datasets.delete(dataset.id)
    return Response(status_code=204, headers=headers)


@router.get(
    "/{dataset_id}/preview.png",
    response_class=Response,
    responses=documented(404, also={**PNG, **NOT_MODIFIED}),
)
def preview_dataset(request: Request, dataset_id: DatasetId, services: ServicesDep) -> Response:
    """A contact sheet with a row for each class."""
    dataset = services.datasets.get(dataset_id)
    return content_response(request, services.datasets.preview(dataset.id), "image/png")
