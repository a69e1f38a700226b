"""The layouts of an export, what each holds, and what of its images must be labelled for it."""

from enum import IntEnum
from typing import Literal, get_args

ExportLayout = Literal["imagefolder", "mvtec", "coco", "yolo", "voc"]
LAYOUTS: tuple[ExportLayout, ...] = get_args(ExportLayout)


class LabelKind(IntEnum):
    """What is known of the places of defects in images; a higher one includes the lower ones."""

    NONE = 0
    BOXES = 1
    MASKS = 2


VERSION_LABELS = LabelKind.NONE
"""What the images of model versions come with: generators make images without masks."""

LEAST_LABELS: dict[ExportLayout, LabelKind] = {
    "imagefolder": LabelKind.NONE,
    "mvtec": LabelKind.MASKS,
    "coco": LabelKind.BOXES,
    "yolo": LabelKind.BOXES,
    "voc": LabelKind.BOXES,
}
"""What of the images a layout cannot do without."""

_HELD: dict[ExportLayout, str] = {
    "imagefolder": "a folder of images for each defect type",
    "mvtec": "a mask beside each image of a defect (ground_truth)",
    "coco": "annotations with the box or the mask of each defect",
    "yolo": "a line with the box or the outline of each defect",
    "voc": "an XML file with the box of each defect",
}
_NAMES = {LabelKind.NONE: "neither masks nor boxes", LabelKind.BOXES: "boxes and no masks", LabelKind.MASKS: "masks"}


def fitting_layouts(labels: LabelKind) -> list[ExportLayout]:
    """The layouts that images with these labels can be exported in."""
    return [each for each in LAYOUTS if LEAST_LABELS[each] <= labels]


def why_not(layout: ExportLayout, labels: LabelKind, source: str) -> str | None:
    """Why images of this source, which have these labels, cannot be exported in the layout; None: they can."""
    if LEAST_LABELS[layout] <= labels:
        return None
    fitting = "; ".join(f"'{each}' holds {_HELD[each]}" for each in fitting_layouts(labels))
    empty = "" if layout == "mvtec" else ". A box around the whole image would be no label of a defect"
    return f"'{layout}' holds {_HELD[layout]}, and the images of {source} have {_NAMES[labels]}{empty}. {fitting}"
