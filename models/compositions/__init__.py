"""Whole photographs with defects: patches on clean photographs, at native scale, with exact masks.

`compose` makes one from a seed. `patches_of` and `annotated_patches` cut patches out of photographs, `mask_in_boxes`
makes masks of boxes, `part_region` finds where defects may lie, `measured_rules` how they may be turned and scaled.
Nothing here imports torch, or reads or writes a file.
"""

from flawsmith.models.compositions.compose import compose
from flawsmith.models.compositions.extraction import annotated_patches, defects_of, is_cut, mask_in_boxes, patches_of
from flawsmith.models.compositions.measured_rules import measured_rules
from flawsmith.models.compositions.parts import (
    Blend,
    Change,
    Composition,
    Patch,
    Placed,
    Rules,
    UnplaceableError,
    box_of,
)
from flawsmith.models.compositions.region import Region, part_region, polygon_region

__all__ = [
    "Blend",
    "Change",
    "Composition",
    "Patch",
    "Placed",
    "Region",
    "Rules",
    "UnplaceableError",
    "annotated_patches",
    "box_of",
    "compose",
    "defects_of",
    "is_cut",
    "mask_in_boxes",
    "measured_rules",
    "part_region",
    "patches_of",
    "polygon_region",
]
