"""The body of POST /models/{name}/versions/{version}/labels."""

from typing import Literal

from pydantic import Field

from flawsmith.core.domain.addresses import SEEDS
from flawsmith.core.domain.request_body import RequestBody, examples
from flawsmith.core.domain.webhook_targets import JobRequest

STEPS = 2  # of a labelling: the label network, the new version
MOST_MASKS = 64
MOST_CHARACTERS = 64_000  # of one mask's base64; a mask of 512 pixels a side takes a few thousand


class MaskOfImage(RequestBody):
    """The mask of one generated image."""

    seed: int = Field(ge=0, lt=SEEDS, description="of the image")
    defect_type: str | None = Field(None, max_length=64, description="null: the type whose turn it is at this seed")
    mask: str = Field(
        max_length=MOST_CHARACTERS,
        description="a PNG of the image's size, as base64: black where there is no defect, white where it is",
    )


class LabelRequest(JobRequest):
    """What a version's label network shall learn from."""

    model_config = examples({"labels": "mask"})

    masks: list[MaskOfImage] | None = Field(
        None,
        min_length=1,
        max_length=MOST_MASKS,
        description="of images of the version; null: the annotations of the photographs that it was trained on",
    )
    labels: Literal["mask", "box"] | None = Field(
        None, description="what images come with; null: masks where there are some to learn from, else boxes"
    )
    priority: int = Field(0, ge=0, le=9, description="jobs of a higher priority run first")
