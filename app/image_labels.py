"""Labels of images in answers: whether a version has them, and their words in JSON."""

import base64
from typing import Any, Literal

from flawsmith.app.problems import Problem, invalid
from flawsmith.core.domain.image_labels import ImageLabels
from flawsmith.core.domain.records import ModelVersion

Wanted = Literal["mask", "box"]


def check_labels(version: ModelVersion, wanted: Wanted, pointer: str) -> None:
    """Raises Problem 422 for labels that the version's images do not come with."""
    if version.labels is None:
        call = f"POST /models/{version.model}/versions/{version.version}/labels"
        raise invalid(pointer, f"the images of {version.ref} have no labels; {call} makes a version that has them")
    if wanted == "mask" and version.labels == "box":
        raise invalid(pointer, f"the images of {version.ref} have boxes and no masks; ask for 'box'")


def label_fields(labels: ImageLabels, wanted: Wanted, *, with_data: bool) -> dict[str, Any]:
    """What JSON says of an image: ``boxes``, each left, top, right, bottom, ``plausible``, and ``mask`` as base64."""
    fields: dict[str, Any] = {"boxes": [list(each) for each in labels.boxes], "plausible": labels.plausible}
    if wanted == "mask" and with_data:
        fields["mask"] = base64.b64encode(labels.mask).decode()
    return fields


def all_doubtful(version: ModelVersion, left: int, count: int, tries: int) -> Problem:
    """The 409 where no images with plausible labels were found."""
    detail = (
        f"the labels of {left} of {count} images of {version.ref} had another size or shape than the real ones, each "
        f"time of {tries}; label the version again with more masks, or use another version"
    )
    return Problem(409, "doubtful-labels", detail)
