"""Names the defect type of each photograph."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.boxes import Box
from flawsmith.core.store.datasets.layout_options import CannotTell
from flawsmith.core.store.datasets.recognition import Recognised, Role

_LARGEST_AREA = 1e12  # of a box that is believed
_MOST_NAMED = 10  # folders in a note


def name_types(recognised: Recognised, name: str, class_from: str | None) -> None:
    """Sets ``defect_type`` and ``types_from`` of all photographs.

    Args:
        recognised: the upload.
        name: of the dataset, the type of photographs of which nothing else says it.
        class_from: what the caller wants to name the types; None for `_by_what_is_there`.

    Raises:
        CannotTell: nothing of the kind that the caller wants is there.
    """
    roles = recognised.photographs
    if class_from is None:
        _by_what_is_there(recognised, name)
        return
    said = [_said(each, class_from, name) for each in roles if not each.clean]
    if not any(said):
        can = [each for each in ("folder", "parent", "label", "mask") if any(_said(role, each, name) for role in roles)]
        known = ", ".join([*can, "dataset"])
        raise CannotTell("class_from", f"nothing names types by '{class_from}' in the upload; possible: {known}")
    for each in roles:
        each.defect_type = _said(each, class_from, name) or name
        each.types_from = class_from


def _said(role: Role, class_from: str, name: str) -> str | None:
    """The type by one source. That of masks is only known when their pixels are read; here it is the dataset's."""
    folders = role.place.folders
    if class_from == "folder":
        return folders[-1] if folders else None
    if class_from == "parent":
        return folders[-2] if len(folders) > 1 else None
    if class_from == "label":
        return _largest_type(role.boxes)
    return name if class_from == "dataset" or role.masks else None


def _by_what_is_there(recognised: Recognised, name: str) -> None:
    """What a manifest says; else the innermost folder, unless that says nothing of a type; then boxes, or colours.

    Boxes of several types say more than folders. In KolektorSDD folders are parts; with several objects, as in all of
    MVTec AD, a type belongs to one object.
    """
    roles, kind = recognised.photographs, recognised.kind
    named = {each.place.folders[-1] for each in roles if each.place.in_named_folder}
    of_boxes = {box.defect_type for each in roles for box in each.boxes if box.defect_type}
    objects = {each.place.folders[-2] for each in roles if len(each.place.folders) > 1}
    parts = kind == "kolektor" and named and all(re.fullmatch(r"(?i)kos\d+", folder) for folder in named)
    for each in roles:
        by_boxes = _largest_type(each.boxes)
        in_object = each.place.in_named_folder and len(each.place.folders) > 1
        if each.declared_type:
            each.defect_type, each.types_from = each.declared_type, "label"
        elif parts:
            each.defect_type = name
        elif by_boxes and (len(of_boxes) > 1 or len(named) < 2 or not each.place.in_named_folder):
            each.defect_type, each.types_from = by_boxes, "label"
        elif kind in ("mvtec", "visa") and len(objects) > 1 and in_object:
            each.defect_type = f"{each.place.folders[-2]}-{each.place.folders[-1]}"
        elif each.place.in_mask_folder and not each.place.in_named_folder:
            each.defect_type = PurePosixPath(each.picture.path).parts[-2]  # a type that is named as masks are
        else:
            each.defect_type = each.place.folders[-1] if each.place.folders else name
        if recognised.colours and each.masks and not of_boxes and len(named) < 2:
            each.types_from = "mask"
    by_labels = [each for each in roles if each.types_from == "label" and not each.declared_type]
    folders = {each.place.folders[-1] for each in by_labels if each.place.in_named_folder}
    if len(folders) > 1 and len(of_boxes) > 1:
        listed = ", ".join(printable(each) for each in sorted(folders)[:_MOST_NAMED])
        recognised.notes.append(f"types are named by labels, not by folders ({listed}); class_from=folder: by folders")


def _largest_type(boxes: Sequence[Box]) -> str | None:
    """The type with the largest area; None if no box has a type."""
    areas: dict[str, float] = defaultdict(float)
    for box in boxes:
        areas[box.defect_type] += min(abs(box.width * box.height), _LARGEST_AREA)
    return max((each for each in areas if each), key=lambda each: areas[each], default=None)
