"""The quality floor of a version whose images a job shall make."""

from flawsmith.app.problems import Problem
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.quality_floors import scores_file


def scored_floor(version: ModelVersion, services: Services) -> float | None:
    """The lowest score of an image; None: any. Raises Problem 409 where there is nothing to score images with."""
    floor = services.registry.quality_floor(version)
    if floor and scores_file(services.registry.folder(version)) is None:
        detail = f"{version.ref} has a quality floor and nothing to score images with; have its report made again"
        raise Problem(409, "no-image-scores", detail)
    return floor.score if floor else None
