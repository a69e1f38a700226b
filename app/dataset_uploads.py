"""Uploads of photographs: the form, and from a received form to a stored dataset."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from flawsmith.app.dataset_removal import check_unused, delete_photographs
from flawsmith.app.idempotency import Idempotency
from flawsmith.app.problems import invalid
from flawsmith.app.storage_limits import check_dataset_room
from flawsmith.app.uploads import Upload, receive
from flawsmith.app.while_connected import while_connected
from flawsmith.core.domain.records import Dataset, valid_name
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import KINDS, TYPE_SOURCES, LayoutOptions, UploadOptions

_FIELDS: dict[str, Any] = {
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
}


def request_body(*, name_required: bool) -> dict[str, Any]:
    """The body for OpenAPI."""
    schema = {"type": "object", "properties": _FIELDS, **({"required": ["name"]} if name_required else {})}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


async def receive_dataset(request: Request, services: Services, parent: str | None = None) -> JSONResponse:
    """Stores an upload as a dataset, once for each Idempotency-Key.

    Args:
        request: with the form.
        services: of this process.
        parent: the id or name of the dataset that the photographs are added to; None: they are one of their own.
    """
    idempotency = Idempotency(request.app.state.redis, request)
    if parent and idempotency.given is None:  # a repeated call is answered though its parent is gone
        await run_in_threadpool(services.datasets.get, parent)
    with services.store.staged() as folder:
        upload = await receive(request, folder, services.settings)
        kept = await idempotency.begin(upload.digest)
        if kept is not None:
            return _answer(await run_in_threadpool(services.datasets.get, kept["dataset"]), kept["created"])
        try:
            async with request.app.state.ingests:
                dataset, created = await while_connected(request, partial(_add, services, upload, parent))
        except BaseException:
            await idempotency.forget()
            raise
        await idempotency.keep({"dataset": dataset.id, "created": created})
        return _answer(dataset, created)


def _add(services: Services, upload: Upload, parent: str | None, abandoned: Callable[[], bool]) -> tuple[Dataset, bool]:
    """Stores the upload as a dataset; says whether it is new. Raises Problem 422 and what `Datasets` raises."""
    name = upload.fields.get("name", "")
    if not (valid_name(name) or (parent and not name)):
        raise invalid(
            "/name", "a name has 1 to 64 letters, digits, '_', '.' and '-', and starts with a letter or digit"
        )
    if unknown := sorted((set(upload.fields) | {field for field, *_ in upload.files}) - _FIELDS.keys()):
        raise invalid(f"/{unknown[0]}", "unknown part; send 'name' and 'archive', or 'name' and several 'images'")
    if (replace := upload.fields.get("replace", "false")) not in ("true", "false"):
        raise invalid("/replace", "send 'true' or 'false'")
    replaced: list[Dataset] = []

    def release(earlier: Dataset) -> None:
        check_unused(services, earlier)
        replaced.append(earlier)

    layout = LayoutOptions.parsed(*(upload.fields.get(name) for name in ("layout", "class_from", "clean")))
    options = UploadOptions(
        upload.fields.get("split") or None,
        layout,
        release if replace == "true" else None,
        abandoned,
        partial(check_dataset_room, services),
    )
    stored = _store(services, name, upload, options, parent)
    for each in replaced:
        delete_photographs(services, each)
    return stored


def _store(
    services: Services, name: str, upload: Upload, options: UploadOptions, parent: str | None
) -> tuple[Dataset, bool]:
    archives = [path for field, _, path in upload.files if field == "archive"]
    images = [(file_name, path) for field, file_name, path in upload.files if field == "images"]
    if len(archives) + bool(images) != 1:
        raise invalid("/archive", "send one 'archive', or one or more 'images', as files")
    datasets = services.datasets
    if parent:
        if archives:
            return datasets.continue_with_archive(parent, name or None, archives[0], options)
        return datasets.continue_with_images(parent, name or None, images, options)
    if archives:
        return datasets.add_archive(name, archives[0], options)
    return datasets.add_images(name, images, options)


def _answer(dataset: Dataset, created: bool) -> JSONResponse:
    headers = {"Location": f"/datasets/{dataset.id}"}
    return JSONResponse(dataset.model_dump(mode="json"), 201 if created else 200, headers)
