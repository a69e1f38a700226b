"""Bundles: a version as one file, and a version of such a file."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse

from flawsmith.app.bundle_files import ZIP, BundleFiles
from flawsmith.app.bundle_uploads import BODY, FIELD, receive_bundle
from flawsmith.app.caller import caller_of
from flawsmith.app.conditional import NOT_MODIFIED, PARTIAL, etag_of, is_current, not_modified
from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import Idempotency
from flawsmith.app.problems import Problem, documented, invalid
from flawsmith.app.routes.models import ModelName, Number, PublishedVersion, published
from flawsmith.app.storage_limits import check_model_room, one_at_a_time
from flawsmith.core.domain.version_bundle import CannotImport, NumberTaken
from flawsmith.core.services import Services
from flawsmith.core.store.bundle_reading import UnpackedBundle, unpack_bundle
from flawsmith.core.store.bundle_writing import bundle_of
from flawsmith.core.store.version_import import check_family, is_here, withdrawn_since

router = APIRouter(prefix="/models", tags=["models"])


@router.get(
    "/{name}/versions/{version}/bundle",
    response_class=FileResponse,
    responses=documented(404, 416, also={200: {"content": {ZIP: {}}}, **PARTIAL, **NOT_MODIFIED}),
)
def get_bundle(request: Request, name: ModelName, version: Number, services: ServicesDep) -> Response:
    """The whole version as one file for `POST /models/import` at another site.

    It holds what makes the images, small pictures of the photographs, the report, evaluations, overrides, the quality
    floor, withdrawn addresses, note and tags; no key, job or alias. The same version is the same bytes until more is
    known of it.
    """
    card = services.registry.version(name, version)
    bundle = bundle_of(services.registry, card)
    etag = etag_of("bundle", bundle.digest)
    if is_current(request, etag):
        return not_modified(etag)
    files: BundleFiles = request.app.state.bundles
    return files.answer(bundle, etag, f"{name}-{card.version}.bundle.zip")


@router.post(
    "/import",
    status_code=201,
    response_model=PublishedVersion,
    responses=documented(
        408, 409, 415, also={200: {"model": PublishedVersion, "description": "The version is here already"}}
    ),
    openapi_extra={"requestBody": BODY},
)
async def import_version(request: Request, services: ServicesDep) -> Response:
    """Publishes the version of a bundle under its own name and number: its addresses give the same bytes here.

    Sent again it changes nothing, but addresses that were withdrawn at the other site since are withdrawn here too.
    """
    idempotency = Idempotency(request.app.state.redis, request)
    with services.store.staged() as folder:
        received = await receive_bundle(request, folder, services.settings)
        kept = await idempotency.begin(received.digest)
        if kept is not None:
            return await run_in_threadpool(_answer, services, kept["model"], kept["version"], kept["created"])
        try:
            async with request.app.state.ingests:
                caller = caller_of(request)
                bundle, created = await run_in_threadpool(_import, services, received.path, folder, caller)
        except BaseException:
            await idempotency.forget()
            raise
        model, number = bundle.card.model, bundle.card.version
        await idempotency.keep({"model": model, "version": number, "created": created})
        return await run_in_threadpool(_answer, services, model, number, created)


def _import(services: Services, path: Path, folder: Path, caller: str) -> tuple[UnpackedBundle, bool]:
    """Publishes the version of a bundle; says whether it is new here. Raises Problem 409, 413, 415, 422."""
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    registry = services.registry
    try:
        bundle = unpack_bundle(path, unpacked)
        if is_here(registry, bundle):
            _withdraw_too(services, bundle, caller)
            return bundle, False
        check_family(registry, bundle.card)
        sha256 = bundle.card.weights_sha256
        services.audit.record("version_imported", version=bundle.card.ref, weights_sha256=sha256, caller=caller)
        try:
            with one_at_a_time(services):
                check_model_room(services, bundle.card.model)
                registry.adopt(bundle.card, bundle.version, bundle.results)
        except NumberTaken:
            if not is_here(registry, bundle):  # a call at the same time imported it
                raise
            return bundle, False
    except CannotImport as error:
        raise invalid(f"/{FIELD}", str(error)) from error
    except NumberTaken as error:
        raise Problem(409, "conflict", str(error)) from error
    return bundle, True


def _withdraw_too(services: Services, bundle: UnpackedBundle, caller: str) -> None:
    """Withdraws what was withdrawn at the other site since this one got the version."""
    for address, reason in withdrawn_since(services.registry, bundle):
        fields = {**address.to_json(), "reason": reason, "caller": caller}
        services.audit.record("image_withdrawn", version=bundle.card.ref, **fields)
        services.registry.withdraw(bundle.card, address, reason)


def _answer(services: Services, model: str, number: int, created: bool) -> Response:
    card = published(services.registry.version(model, str(number)), services)
    headers = {"Location": f"/models/{model}/versions/{number}"}
    return JSONResponse(card.model_dump(mode="json"), 201 if created else 200, headers)
