"""Datasets: upload, list, preview and delete photographs."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from flawsmith.app.conditional import NOT_MODIFIED, content_response
from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import Idempotency, IdempotentRoute
from flawsmith.app.paging import Cursor, Limit, Page, page
from flawsmith.app.problems import PNG, Problem, documented, invalid
from flawsmith.app.uploads import Upload, receive
from flawsmith.app.while_connected import while_connected
from flawsmith.core.domain.records import Dataset, ModelVersion, valid_name
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import KINDS, TYPE_SOURCES, LayoutOptions, UploadOptions
from flawsmith.core.store.reference_photographs import delete_references

router = APIRouter(prefix="/datasets", tags=["datasets"])
repeatable = APIRouter(prefix="/datasets", tags=["datasets"], route_class=IdempotentRoute)

MOST_NAMED = 2048  # characters of a header

DatasetId = Annotated[str, Path(max_length=64)]

_PARTS = {"name", "archive", "images", "replace", "split", "layout", "class_from", "clean"}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"},
                    "archive": {"type": "string", "format": "binary", "description": "zip, tar or tar.gz"},
                    "images": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    "split": {
                        "type": "string",
                        "description": "the split to train on: train, val, test or all; left out: train, or the "
                        "defects of test where train holds clean photographs only",
                    },
                    "layout": {
                        "type": "string",
                        "enum": list(KINDS),
                        "description": "how to read the upload; left out: by what the files say, or 422 where that "
                        "can be read in several ways",
                    },
                    "class_from": {
                        "type": "string",
                        "enum": list(TYPE_SOURCES),
                        "description": "what names the defect type of a photograph: its folder, the folder above, its "
                        "labels, the colour of its mask, or the dataset; left out: by what is there",
                    },
                    "clean": {
                        "type": "string",
                        "description": "the folders of photographs without a defect, separated by commas, or none; "
                        "left out: folders that are called good, ok, normal and the like",
                    },
                    "replace": {
                        "type": "string",
                        "enum": ["true", "false"],
                        "description": "true: delete the dataset of this name that has other content",
                    },
                },
            }
        }
    },
}


@router.post(
    "",
    status_code=201,
    response_model=Dataset,
    responses=documented(
        408, 409, 415, also={200: {"model": Dataset, "description": "The name stands for this content already"}}
    ),
    openapi_extra={"requestBody": _BODY},
)
async def create_dataset(request: Request, services: ServicesDep) -> Response:
    """Uploads an archive (each folder names the defect type of its images) or single images of one type."""
    with services.store.staged() as folder:
        upload = await receive(request, folder, services.settings)
        idempotency = Idempotency(request.app.state.redis, request)
        kept = await idempotency.begin(upload.digest)
        if kept is not None:
            return _answer(await run_in_threadpool(services.datasets.get, kept["dataset"]), kept["created"])
        try:
            async with request.app.state.ingests:
                dataset, created = await while_connected(request, partial(_add, services, upload))
        except BaseException:
            await idempotency.forget()
            raise
        await idempotency.keep({"dataset": dataset.id, "created": created})
        return _answer(dataset, created)


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
) -> Page[ModelVersion]:
    """The model versions that were trained on this content, newest first.

    Deleting the last dataset with it deletes their reference photographs: see DELETE.
    """
    found = services.registry.trained_on(services.datasets.get(dataset_id).digest)
    found.sort(key=_age, reverse=True)
    return page(found, _age, limit, cursor)


def _age(version: ModelVersion) -> str:
    return f"{version.created_at.isoformat()} {version.ref}"


@repeatable.delete("/{dataset_id}", status_code=204, responses=documented(404, 409))
def delete_dataset(dataset_id: DatasetId, services: ServicesDep) -> Response:
    """Deletes a dataset that no unfinished job uses, and the reference photographs of the versions trained on it.

    `X-Affected-Versions` names these versions: `max_similarity` and `nearest` answer 409 for them from then on. They
    keep the photographs while another dataset has the same content.
    """
    dataset = services.datasets.get(dataset_id)
    _check_unused(services, dataset)
    headers = _delete_references(services, dataset)  # first: no picture may stay behind where this process dies
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


def _add(services: Services, upload: Upload, abandoned: Callable[[], bool]) -> tuple[Dataset, bool]:
    """Stores the upload as a dataset; says whether it is new. Raises Problem 422 and what `Datasets` raises."""
    name = upload.fields.get("name", "")
    if not valid_name(name):
        raise invalid(
            "/name", "a name has 1 to 64 letters, digits, '_', '.' and '-', and starts with a letter or digit"
        )
    if unknown := sorted((set(upload.fields) | {field for field, *_ in upload.files}) - _PARTS):
        raise invalid(f"/{unknown[0]}", "unknown part; send 'name' and 'archive', or 'name' and several 'images'")
    if (replace := upload.fields.get("replace", "false")) not in ("true", "false"):
        raise invalid("/replace", "send 'true' or 'false'")
    replaced: list[Dataset] = []

    def release(earlier: Dataset) -> None:
        _check_unused(services, earlier)
        replaced.append(earlier)

    layout = LayoutOptions.parsed(*(upload.fields.get(name) for name in ("layout", "class_from", "clean")))
    options = UploadOptions(
        upload.fields.get("split") or None, layout, release if replace == "true" else None, abandoned
    )
    stored = _store(services, name, upload, options)
    for each in replaced:
        _delete_references(services, each)
    return stored


def _store(services: Services, name: str, upload: Upload, options: UploadOptions) -> tuple[Dataset, bool]:
    archives = [path for field, _, path in upload.files if field == "archive"]
    images = [(file_name, path) for field, file_name, path in upload.files if field == "images"]
    if len(archives) + bool(images) != 1:
        raise invalid("/archive", "send one 'archive', or one or more 'images', as files")
    if archives:
        return services.datasets.add_archive(name, archives[0], options)
    return services.datasets.add_images(name, images, options)


def _check_unused(services: Services, dataset: Dataset) -> None:
    """Raises Problem 409 while an unfinished job uses the dataset."""
    users = services.jobs.unfinished_with(dataset.id)
    if users:
        raise Problem(
            409,
            "conflict",
            f"'{dataset.name}' is used by job {', '.join(users[:5])}; cancel it or wait until it ends",
        )


def _delete_references(services: Services, dataset: Dataset) -> dict[str, str]:
    """Deletes the reference photographs of versions trained on a dataset, unless another one has the same content.

    Returns the header that names these versions.
    """
    if any(each.digest == dataset.digest and each.id != dataset.id for each in services.datasets.list()):
        return {}
    versions = services.registry.trained_on(dataset.digest)
    affected = [each.ref for each in versions if delete_references(services.registry.folder(each))]
    named = ", ".join(affected)
    if len(named) > MOST_NAMED:
        named = f"{len(affected)} versions"
    return {"X-Affected-Versions": named} if affected else {}


def _answer(dataset: Dataset, created: bool) -> JSONResponse:
    headers = {"Location": f"/datasets/{dataset.id}"}
    return JSONResponse(dataset.model_dump(mode="json"), 201 if created else 200, headers)
