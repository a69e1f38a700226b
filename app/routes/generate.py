"""POST /generate: images by address, or images that nobody was given before."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from flawsmith.app.direct_body_route import DirectBodyRoute
from flawsmith.app.idempotency import Idempotency
from flawsmith.app.media import MEDIA_TYPES, answer, choose
from flawsmith.app.problems import documented, invalid
from flawsmith.app.routes.models import check_defect_type
from flawsmith.app.sampling import Images, Sampling, caller_of
from flawsmith.core.domain.addresses import SEEDS, Address, seeded
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services

router = APIRouter(prefix="/generate", tags=["generate"], route_class=DirectBodyRoute)


class GenerateRequest(BaseModel):
    """The body of POST /generate."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(min_length=1, max_length=140, description="`scratches`, `scratches@2`, `scratches@production`")
    count: int = Field(1, ge=1, le=1_000_000, description="images; at most FLAWSMITH_MAX_IMAGES_PER_REQUEST")
    defect_type: str | None = Field(None, max_length=64, description="null: all types of the model in turn")
    seed: int | None = Field(None, ge=0, lt=SEEDS, description="the images seed … seed + count - 1; null: new ones")
    format: Literal["png", "jpeg", "webp", "npy"] | None = Field(None, description="wins over the header Accept")
    deadline_seconds: float = Field(30.0, gt=0, le=600, description="how long the answer may take")


@router.post(
    "",
    response_class=Response,
    responses=documented(
        404,
        406,
        409,
        415,
        429,
        504,
        also={
            200: {
                "description": "The images; the headers X-Model, X-Seed, X-Defect-Type and X-Stock say which.",
                "content": {media_type: {} for media_type in MEDIA_TYPES},
            }
        },
    ),
)
async def generate(
    request: Request,
    body: GenerateRequest,
    data: Annotated[bool, Query(description="false: application/json without the images' bytes")] = True,
) -> Response:
    """Synthetic images as one picture, a zip, JSON or an array, as `Accept` or `format` asks."""
    services: Services = request.app.state.services
    version = services.registry.resolve(body.model)
    check_defect_type(version, body.defect_type)
    _check_range(body, services)
    media_type = choose(request.headers.get("accept"), body.format, body.count)
    idempotency = Idempotency(request.app.state.redis, request)
    kept = await idempotency.begin(body.model_dump_json().encode()) if idempotency.given else None
    try:
        if kept is None:
            await request.app.state.caller_rate.charge(caller_of(request), body.count)
        else:  # the first call's addresses, and so its bytes
            version = services.registry.resolve(kept["model"])
        images = await _images(request, body, version, kept, data or media_type != "application/json")
    except BaseException:
        if kept is None:
            await idempotency.forget()
        raise
    await idempotency.keep({"model": version.ref, "addresses": [vars(each) for each in images.addresses]})
    if media_type in ("image/jpeg", "image/webp"):  # which are encoded here
        return await run_in_threadpool(answer, media_type, version, images)
    return answer(media_type, version, images)


def _check_range(body: GenerateRequest, services: Services) -> None:
    limit = services.settings.max_images_per_request
    if body.count > limit:
        raise invalid("/count", f"at most {limit} images a call; make several calls for more")
    if body.seed is not None and body.seed + body.count > SEEDS:
        raise invalid("/seed", f"seed + count - 1 must be at most {SEEDS - 1}")


async def _images(request: Request, body: GenerateRequest, version: ModelVersion, kept: Any, with_data: bool) -> Images:
    sampling: Sampling = request.app.state.sampling
    if kept is not None:
        addresses = [Address(**each) for each in kept["addresses"]]
    elif body.seed is not None:
        addresses = seeded(version.classes, body.defect_type, body.seed, body.count)
    elif with_data:
        return await sampling.new_images(request, version, body.defect_type, body.count, body.deadline_seconds)
    else:
        taken = await sampling.stock.take(version.ref, version.classes, body.defect_type, body.count, ready=False)
        addresses = [address for address, _ in taken.images]
    if not with_data:
        return Images(addresses, [], "miss")
    return await sampling.by_address(request, version, addresses, body.deadline_seconds)
