"""Labellings: the call that gives an existing version labels, and the jobs that do it."""

from typing import Any

from fastapi import APIRouter, Response

from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.job_routes import add_job_routes, job_router, submit
from flawsmith.app.label_masks import addressed_masks
from flawsmith.app.problems import Problem, documented, invalid
from flawsmith.app.routes.models import ModelName, Number
from flawsmith.core.domain.job_kinds.labelling import KIND, LabellingJob, new_labelling_job
from flawsmith.core.domain.jobs import Job
from flawsmith.core.domain.label_request import LabelRequest
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.datasets import UnknownDataset
from flawsmith.core.store.datasets.outlines import encoded

router = job_router(KIND)
add_job_routes(router, KIND)

of_version = APIRouter(prefix="/models/{name}/versions/{version}/labels", tags=["models"], route_class=IdempotentRoute)


@of_version.post("", status_code=202, response_model=LabellingJob, responses=documented(404, 409, 429))
def create_labelling(
    name: ModelName, version: Number, body: LabelRequest, services: ServicesDep, response: Response, caller: CallerDep
) -> Job:
    """Teaches a version where the defect is in its images, and publishes it as the next version, with the same pixels.

    It learns from masks of its images, or from the annotations of the photographs that it was trained on.
    """
    card = services.registry.version(name, version)
    if not card.has_networks:
        detail = f"the images of {card.ref} come with exact masks already: its defects were placed; ask for 'labels'"
        raise Problem(409, "conflict", detail)
    if body.masks is not None:
        masks = [
            {"seed": address.seed, "defect_type": address.defect_type, "runs": encoded(mask)}
            for address, mask in addressed_masks(card, body.masks)
        ]
        config: dict[str, Any] = {"source": "masks", "labels": body.labels or "mask", "masks": masks}
        dataset = None
    else:
        dataset, labels = _annotations(card, body, services)
        config = {"source": "annotations", "labels": labels}
    job = new_labelling_job(card.ref, config | {"priority": body.priority}, dataset)
    return submit(services, KIND, job, response, caller, body)


def _annotations(version: ModelVersion, body: LabelRequest, services: Services) -> tuple[str, str]:
    """The id of the version's photographs, and the labels that their annotations allow. Raises Problem 409, 422."""
    try:
        dataset = services.datasets.of_digest(version.dataset_digest).id
    except UnknownDataset as error:
        detail = f"the photographs of {version.ref} were deleted; upload them again, or send 'masks' of its images"
        raise Problem(409, "conflict", detail) from error
    known = [each.annotations for each in services.datasets.photographs(dataset)]
    has_masks = any(defect.runs for each in known for defect in each.defects)
    if not any(each.defects for each in known):
        detail = f"the photographs of {version.ref} have neither masks nor boxes; send masks of generated images"
        raise invalid("/masks", detail)
    if body.labels == "mask" and not has_masks:
        detail = (
            f"the photographs of {version.ref} have boxes and no masks; ask for 'box', or send 'masks' of its images"
        )
        raise invalid("/labels", detail)
    return dataset, body.labels or ("mask" if has_masks else "box")
