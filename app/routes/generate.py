"""POST /generate: new images, or images by address."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from flawsmith.app.auth import check_scope
from flawsmith.app.direct_body_route import DirectBodyRoute
from flawsmith.app.generated_images import GeneratedImages
from flawsmith.app.idempotency import Idempotency
from flawsmith.app.image_request import Flags, GenerateRequest, ImageRequest, resolve
from flawsmith.app.media import MEDIA_TYPES, answer
from flawsmith.app.model_references import ModelReferences
from flawsmith.app.openapi.response_headers import headers
from flawsmith.app.problems import documented
from flawsmith.app.sampling.client import SamplingClient
from flawsmith.app.sampling.images import Images
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import attributes_text
from flawsmith.core.services import Services

router = APIRouter(prefix="/generate", tags=["generate"], route_class=DirectBodyRoute)

_HEADERS = (
    *("X-Model", "X-Seed", "X-Defect-Type", "X-Stock", "X-Attributes", "X-Refused", "X-Redrawn"),
    *("X-Seeds", "X-Seeds-Omitted"),
)
_ENCODED_HERE = ("image/jpeg", "image/webp")  # encoding takes milliseconds; PNGs come from the workers


@router.post(
    "",
    operation_id="generate",
    response_class=Response,
    responses=documented(
        404,
        406,
        409,
        410,
        415,
        429,
        504,
        also={
            200: {
                "model": GeneratedImages,
                "description": "The images; the headers say which they are",
                "content": {media_type: {} for media_type in MEDIA_TYPES},
                "headers": headers(*_HEADERS),
            }
        },
    ),
)
async def generate(
    request: Request,
    body: GenerateRequest,
    data: Annotated[bool, Query(description="false: application/json without the images' bytes")] = True,
    nearest: Annotated[
        bool, Query(description="true: application/json with each image's nearest training photograph; scope train")
    ] = False,
) -> Response:
    """Synthetic images as one picture, a zip, JSON or an array, as `Accept` or `format` asks."""
    if nearest:
        check_scope(request, "train", "'nearest' shows names of photographs and")
    services: Services = request.app.state.services
    references: ModelReferences = request.app.state.references
    accept = ", ".join(request.headers.getlist("accept"))  # several lines are one list
    wanted = resolve(body, await references.served(body.model), Flags(data, nearest), accept, services)
    call = Idempotency(request.app.state.redis, request)
    sampling: SamplingClient = request.app.state.sampling
    if call.given is None:
        images = await sampling.charged_images(request, wanted)
    elif first := await call.begin(_kept_body(body)):
        images = await sampling.charged_images(request, await _repeated(wanted, first, references))
        images = images._replace(refused=first.get("refused"))
    else:
        try:
            images = await sampling.charged_images(request, wanted)
        except BaseException:
            await call.forget()
            raise
        addresses = [each.to_json() for each in images.addresses]
        await call.keep({"model": images.version.ref, "addresses": addresses, "refused": images.refused})
    if wanted.media_type in _ENCODED_HERE:
        return await run_in_threadpool(answer, wanted.media_type, images, image_headers(images))
    return answer(wanted.media_type, images, image_headers(images), wanted.zipped, services.settings.root_path)


def image_headers(images: Images) -> dict[str, str]:
    """The headers that say which images an answer of any media type holds, and whether they were ready."""
    first = images.addresses[0]
    headers = {
        "X-Model": images.version.ref,
        "X-Seed": str(first.seed),
        "X-Defect-Type": quote(first.defect_type),
        "X-Stock": images.availability,
    }
    if first.attributes:
        headers["X-Attributes"] = attributes_text(first.attributes)
    if images.redrawn is not None:
        headers["X-Redrawn"] = str(images.redrawn)
    if images.refused is not None:
        headers["X-Refused"] = str(images.refused)
    return headers


def _kept_body(body: GenerateRequest) -> bytes:
    """What a repeated call must say as well. Without attributes or labels, what releases before them kept of it."""
    exclude = {name for name in ("attributes", "labels") if not getattr(body, name)}
    return body.model_dump_json(exclude=exclude).encode()


async def _repeated(wanted: ImageRequest, first: dict[str, Any], references: ModelReferences) -> ImageRequest:
    """The request with the version and the addresses of the first call with its Idempotency-Key, so its bytes."""
    addresses, served = list(map(Address.from_json, first["addresses"])), await references.served(first["model"])
    return replace(
        wanted,
        version=served.version,
        withdrawn=served.withdrawn or None,
        addresses=addresses,
        max_similarity=None,  # the first call's images have passed
        floor=None,
    )
