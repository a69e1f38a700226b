"""Quality floors: the score below which images of a version are not given out."""

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from flawsmith.app.caller import caller_of
from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.problems import Problem, documented
from flawsmith.app.routes.models import ModelName, Number
from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.records import ModelVersion, Moment, now
from flawsmith.core.domain.request_body import RequestBody, examples
from flawsmith.core.live.image_pool import PoolReplenisher
from flawsmith.core.services import Services
from flawsmith.core.store.quality_floors import ImageScores, scores_file

LIMIT = 100.0  # far beyond every score

router = APIRouter(
    prefix="/models/{name}/versions/{version}/quality-floor", tags=["models"], route_class=IdempotentRoute
)


class FloorRequest(RequestBody):
    """The body of PUT …/quality-floor."""

    model_config = examples({"score": 0.2})

    score: float = Field(
        ge=-LIMIT,
        le=LIMIT,
        description="images that score less are not given out; 0: as photographs whose defects were wiped out, "
        "1: as photographs (medians)",
    )


class ScoreRange(BaseModel):
    """Scores of photographs or of samples.

    Attributes:
        least, tenth, median, ninetieth, most: percentiles.
        below: share that is below the floor, 0 … 1; null without a floor.
        n: number of images.
    """

    least: float
    tenth: float
    median: float
    ninetieth: float
    most: float
    below: float | None
    n: int


class TypeScores(BaseModel):
    """Of one defect type. The network that scores did not learn from these photographs."""

    photographs: ScoreRange
    samples: ScoreRange


class FloorAnswer(BaseModel):
    """The floor of a version, and what it means; a type is null if it has no score, and its images all pass."""

    version: str
    score: float | None
    set_at: Moment | None
    types: dict[str, TypeScores | None]


@router.get("", responses=documented(404))
def get_quality_floor(name: ModelName, version: Number, services: ServicesDep) -> FloorAnswer:
    """The version's quality floor, and the scores of its photographs and samples."""
    card = services.registry.version(name, version)
    return _answer(card, _scores(card, services), services)


@router.put("", responses=documented(404, 409, 415))
def set_quality_floor(
    request: Request, name: ModelName, version: Number, body: FloorRequest, services: ServicesDep
) -> FloorAnswer:
    """Images of the version that score less are not given out from now on, neither new ones nor by address."""
    card = services.registry.version(name, version)
    scores = _scores(card, services)
    if scores is None:
        raise Problem(
            409,
            "no-image-scores",
            f"{card.ref} has nothing to score images with: an earlier release published it, it was trained on too few "
            f"photographs, or its photographs cannot be told from the same ones without their defects. "
            f"POST /models/{name}/versions/{version}/report looks at the photographs again and makes the scores where "
            "that is possible",
        )
    _change(request, services, card, QualityFloor(score=body.score, set_at=now()))
    return _answer(card, scores, services)


@router.delete("", status_code=204, responses=documented(404))
def delete_quality_floor(request: Request, name: ModelName, version: Number, services: ServicesDep) -> Response:
    """Removes the version's quality floor; without one this changes nothing."""
    card = services.registry.version(name, version)
    if services.registry.quality_floor(card) is not None:
        _change(request, services, card, None)
    return Response(status_code=204)


def _change(request: Request, services: Services, card: ModelVersion, floor: QualityFloor | None) -> None:
    score = floor.score if floor else None
    services.audit.record("quality_floor_set", version=card.ref, score=score, caller=caller_of(request))
    services.registry.set_quality_floor(card, floor)
    PoolReplenisher(services.image_redis, services.settings).drop(card.ref)


def _scores(card: ModelVersion, services: Services) -> ImageScores | None:
    path = scores_file(services.registry.folder(card))
    return ImageScores.load(path) if path else None


def _answer(card: ModelVersion, scores: ImageScores | None, services: Services) -> FloorAnswer:
    floor = services.registry.quality_floor(card)
    score = floor.score if floor else None
    types: dict[str, TypeScores | None] = dict.fromkeys(card.classes)
    if scores:
        for name, scale, *found in zip(scores.classes, scores.scales, scores.photographs, scores.samples, strict=True):
            if not np.isnan(scale).any():
                photographs, samples = (_range(each, score) for each in found)
                types[name] = TypeScores(photographs=photographs, samples=samples)
    return FloorAnswer(version=card.ref, score=score, set_at=floor.set_at if floor else None, types=types)


def _range(scores: NDArray[np.float64], floor: float | None) -> ScoreRange:
    least, tenth, median, ninetieth, most = (
        round(float(each), 3) for each in np.quantile(scores, (0, 0.1, 0.5, 0.9, 1))
    )
    below = None if floor is None else round(float((scores < floor).mean()), 3)
    return ScoreRange(
        least=least, tenth=tenth, median=median, ninetieth=ninetieth, most=most, below=below, n=len(scores)
    )
