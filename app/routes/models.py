"""Models: their versions, aliases and weights, and single images by address."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse

from flawsmith.app.caller import caller_of
from flawsmith.app.conditional import NOT_MODIFIED, PARTIAL, etag_of, is_current, not_modified, ranged_file
from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.image_attributes import of_query
from flawsmith.app.image_labels import Wanted, check_labels
from flawsmith.app.image_request import ImageRequest, check_defect_type
from flawsmith.app.model_references import ModelReferences, Served
from flawsmith.app.paging import Cursor, Limit, Page, page
from flawsmith.app.problems import Problem, documented
from flawsmith.app.remarks import SearchedFor, Tagged, changed_by, fitting, with_tags
from flawsmith.app.sampling.client import SamplingClient
from flawsmith.app.sampling.image_filter import check_withdrawn
from flawsmith.core.domain.addresses import SEEDS, Address, seeded
from flawsmith.core.domain.attributes import MAX_TEXT
from flawsmith.core.domain.production_gate import Override
from flawsmith.core.domain.records import Model, ModelVersion, Moment
from flawsmith.core.domain.remarks import ALL, RemarksChange, RemarksFilter
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.services import Services
from flawsmith.core.store.version_results import overrides_of

router = APIRouter(prefix="/models", tags=["models"], route_class=IdempotentRoute)

ModelName = Annotated[str, Path(max_length=64)]
Number = Annotated[str, Path(max_length=16)]
IMAGE_SECONDS = 30.0  # deadline of a GET of one image
DEFAULT_REASON = "no reason was given"

Seed = Annotated[int, Path(ge=0, lt=SEEDS)]
DefectType = Annotated[str | None, Query(max_length=64)]
Angle = Annotated[
    str | None,
    Query(
        max_length=MAX_TEXT,
        description="of the image's lines: `30..60`, in degrees counter-clockwise from level; `170..10` wraps",
    ),
]
Brightness = Annotated[
    str | None, Query(max_length=MAX_TEXT, description="the image's mean gray value: `100..150`, of 0 to 255")
]
Severity = Annotated[
    str | None,
    Query(max_length=MAX_TEXT, description="share of the picture that the anomaly takes: `0.2..1`, of 0 to 1"),
]


class PublishedVersion(ModelVersion):
    """A version's card, and what people decided about it and wrote on it later."""

    overrides: list[Override]
    note: str | None
    tags: list[str]
    noted_at: Moment | None


def published(card: ModelVersion, services: Services) -> PublishedVersion:
    """The card with the overrides of its verdict, its note and its tags."""
    overrides = overrides_of(services.registry.folder(card))
    remarks = services.registry.remarks.of(card.model, card.version)
    return PublishedVersion.model_validate({**dict(card), **dict(remarks), "overrides": overrides})


@router.get("", responses=documented())
def list_models(
    services: ServicesDep, tag: Tagged = None, search: SearchedFor = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[Model]:
    """All models, newest first; with `tag` or `search`, those that have a version that fits."""
    wanted = RemarksFilter.of(tag, search)
    found = [each for each in services.registry.models() if wanted == ALL or any(fitting(each, wanted, services))]
    shown = page(found, lambda each: f"{each.created_at.isoformat()} {each.name}", limit, cursor)
    return Page(items=[with_tags(each, services) for each in shown.items], next_cursor=shown.next_cursor)


@router.get("/{name}", responses=documented(404))
def get_model(name: ModelName, services: ServicesDep) -> Model:
    """One model with its versions and aliases."""
    return with_tags(services.registry.model(name), services)


@router.get("/{name}/versions", responses=documented(404))
def list_model_versions(
    name: ModelName,
    services: ServicesDep,
    tag: Tagged = None,
    search: SearchedFor = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PublishedVersion]:
    """The versions of a model, newest first."""
    numbers = fitting(services.registry.model(name), RemarksFilter.of(tag, search), services)
    shown = page(numbers, lambda number: f"{number:09d}", limit, cursor)
    cards = [services.registry.version(name, str(number)) for number in shown.items]
    return Page(items=[published(each, services) for each in cards], next_cursor=shown.next_cursor)


@router.get("/{name}/versions/{version}", responses=documented(404))
def get_model_version(name: ModelName, version: Number, services: ServicesDep) -> PublishedVersion:
    """One version: classes, resolution, mode, preset, origin, verdict, and overrides of the verdict."""
    return published(services.registry.version(name, version), services)


@router.patch("/{name}/versions/{version}", responses=documented(404, 415))
def update_model_version(
    name: ModelName, version: Number, body: RemarksChange, services: ServicesDep
) -> PublishedVersion:
    """Changes the note and the tags of a version; its card and its images never change."""
    card = services.registry.version(name, version)
    services.registry.remark(card, changed_by(body))
    return published(card, services)


@router.delete("/{name}/versions/{version}", status_code=204, responses=documented(404, 409))
def delete_model_version(request: Request, name: ModelName, version: Number, services: ServicesDep) -> Response:
    """Deletes a version that no alias points at, and its results. Its number is never used again."""
    card = services.registry.version(name, version)
    if card.version not in services.registry.aliases(name).values():
        services.audit.record("version_deleted", version=card.ref, caller=caller_of(request))
    services.registry.delete_version(name, version)
    PoolReplenisher(services.image_redis, services.settings).drop(f"{name}@{version}")
    return Response(status_code=204)


@router.get(
    "/{name}/versions/{version}/weights.safetensors",
    response_class=FileResponse,
    responses=documented(
        404, 416, also={200: {"content": {"application/octet-stream": {}}}, **PARTIAL, **NOT_MODIFIED}
    ),
)
def get_weights(request: Request, name: ModelName, version: Number, services: ServicesDep) -> Response:
    """The generator's weights as a safetensors file; 404 for a version without networks."""
    card = services.registry.version(name, version)
    if not card.has_networks:
        detail = (
            f"{card.ref} has no weights: preset '{card.preset}' trains no networks, its images are made of your "
            "photographs; GET its images, or train another preset"
        )
        raise Problem(404, "not-found", detail)
    etag = etag_of("weights", card.ref, card.weights_sha256, card.created_at.isoformat())
    path = services.registry.weights(name, card.version)
    if is_current(request, etag, datetime.fromtimestamp(path.stat().st_mtime, UTC)):
        return not_modified(etag)
    file_name = f"{name}-{card.version}.safetensors"
    return ranged_file(path, etag=etag, media_type="application/octet-stream", filename=file_name)


@router.get(
    "/{name}/versions/{version}/images/{seed}.png",
    response_class=Response,
    responses=documented(
        404,
        409,
        410,
        429,
        504,
        also={200: {"content": {"image/png": {}}}, **NOT_MODIFIED},
    ),
)
async def get_image(
    request: Request,
    name: ModelName,
    version: Number,
    seed: Seed,
    defect_type: DefectType = None,
    angle: Angle = None,
    brightness: Brightness = None,
    severity: Severity = None,
) -> Response:
    """The image at an address: version, defect type, seed, and attributes if any. Its bytes never change.

    409 below the version's quality floor, and where none of the seed's 32 candidates has the brightness and severity.
    """
    served, address = await _served_image(request, name, version, seed, defect_type)
    return await _answered(request, served, address)


@router.get(
    "/{name}/versions/{version}/images/{seed}/mask.png",
    response_class=Response,
    responses=documented(404, 409, 410, 429, 504, also={200: {"content": {"image/png": {}}}, **NOT_MODIFIED}),
)
async def get_mask(
    request: Request,
    name: ModelName,
    version: Number,
    seed: Seed,
    defect_type: DefectType = None,
    angle: Angle = None,
    brightness: Brightness = None,
    severity: Severity = None,
) -> Response:
    """The mask of the image at an address, of a version with masks: 255 where the defect is, else 0; never empty."""
    served, address = await _served_image(request, name, version, seed, defect_type, "mask")
    return await _answered(request, served, address, "mask")


@router.delete("/{name}/versions/{version}/images/{seed}.png", status_code=204, responses=documented(404))
def withdraw_image(
    request: Request,
    name: ModelName,
    version: Number,
    seed: Seed,
    services: ServicesDep,
    defect_type: DefectType = None,
    angle: Angle = None,
    brightness: Brightness = None,
    severity: Severity = None,
    reason: Annotated[str, Query(max_length=200, description="shown to who asks for the image")] = DEFAULT_REASON,
) -> Response:
    """Withdraws an address for ever, with any attributes: 410 with the first reason from then on.

    Copies that callers and caches hold already stay with them.
    """
    card = services.registry.version(name, version)
    check_defect_type(card, defect_type)
    address = _address(card, request, seed, defect_type)
    if address.plain not in services.registry.withdrawn(card):
        reason = reason or DEFAULT_REASON
        services.audit.record(
            "image_withdrawn", version=card.ref, **address.to_json(), reason=reason, caller=caller_of(request)
        )
        services.registry.withdraw(card, address, reason)
    return Response(status_code=204)


async def _served_image(
    request: Request, name: str, version: str, seed: int, defect_type: str | None, labels: Wanted | None = None
) -> tuple[Served, Address]:
    """The version and the address that an image's URL names. Raises Problem 404, 410, 422."""
    references: ModelReferences = request.app.state.references
    served = await references.version(name, version)
    if labels:
        check_labels(served.version, labels, "/path/version")
    check_defect_type(served.version, defect_type)
    address = _address(served.version, request, seed, defect_type)
    check_withdrawn(served.withdrawn, [address])
    return served, address


async def _answered(request: Request, served: Served, address: Address, labels: Wanted | None = None) -> Response:
    """The image at an address, or its mask. Raises as `SamplingClient.charged_images`."""
    card = served.version
    etag = etag_of(card.ref, card.weights_sha256, str(address), *([labels, card.published_by] if labels else []))
    headers = {"ETag": etag, "Cache-Control": "public, max-age=31536000, immutable"}
    if is_current(request, etag):
        return not_modified(etag, headers)
    sampling: SamplingClient = request.app.state.sampling
    wanted = ImageRequest(
        *(card, [address], 1, address.defect_type, "image/png", True, IMAGE_SECONDS),
        attributes=address.attributes,
        floor=served.floor,
        labels=labels,
    )
    images = await sampling.charged_images(request, wanted)
    content = images.labels[address].mask if labels else images.pngs[0]
    return Response(content, media_type="image/png", headers=headers)


def _address(card: ModelVersion, request: Request, seed: int, defect_type: str | None) -> Address:
    """The address that an image's URL names. Raises Problem 422 for its attributes."""
    [plain] = seeded(card.classes, defect_type, seed, 1)
    return replace(plain, attributes=of_query(card, request, plain.defect_type))
