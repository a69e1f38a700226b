"""Recognises the layout of an upload: which pictures are photographs, masks and clean photographs, and their splits.

It looks at what the files say (`folder_words`, `label_files`), rather than at one data set after another, so that
layouts that differ a little are understood as well.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from flawsmith.core.domain.image_modes import ImageMode
from flawsmith.core.store.datasets.folder_words import Place, is_clean, is_number, place_of
from flawsmith.core.store.datasets.label_files import Box, Labels, read_labels
from flawsmith.core.store.datasets.masks import MaskLook, ignore_white

_LARGEST_AREA = 1e12  # of a box that is believed
_MOST_CANDIDATES = 100  # photographs among which that of a mask is searched
_LOSSY_SUFFIXES = {".jpg", ".jpeg", ".webp"}


@dataclass(frozen=True)
class Picture:
    """A decoded picture of an upload."""

    path: str
    digest: str  # SHA-256 of the uploaded file
    staged_as: str
    mode: ImageMode
    size: tuple[int, int]
    pixel_digest: str  # SHA-256; empty where all pixels are equal
    look: MaskLook


@dataclass
class Role:
    """A picture that is a photograph, and what belongs to it."""

    picture: Picture
    place: Place
    defect_type: str = ""
    split: str | None = None
    clean: bool = False
    masks: list[Picture] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)


@dataclass
class Recognised:
    """What was understood of an upload. ``rejected`` has reasons by path.

    ``ignores_white`` says whether white in its masks means pixels to ignore.
    """

    kind: str
    photographs: list[Role]
    rejected: dict[str, str]
    ignores_white: bool = False


def recognise(name: str, pictures: Sequence[Picture], documents: Mapping[str, bytes]) -> Recognised:
    """Tells the roles of an upload's pictures.

    Args:
        name: of the dataset; photographs whose folders say nothing are of this type.
        pictures: all pictures that could be decoded.
        documents: the content of all other files, by their paths.
    """
    places = {each.path: place_of(each.path) for each in pictures}
    masks, orphans = _masks(pictures, places)
    photographs = [each for each in pictures if each.path not in masks and each.path not in orphans]
    labels = read_labels(documents, [each.path for each in photographs])
    masks_of: dict[str, list[Picture]] = defaultdict(list)
    of_masks = [each for each in pictures if each.path in masks]
    # Lossy files have such levels by accident.
    lossy = any(PurePosixPath(each.path).suffix.lower() in _LOSSY_SUFFIXES for each in of_masks)
    gray = all(each.mode == "L" for each in of_masks)
    ignores_white = gray and not lossy and ignore_white([each.look for each in of_masks])
    for each in of_masks:
        masks_of[masks[each.path]].append(each)
    kind = _kind(places, masks, labels)
    label_folders = {str(PurePosixPath(path).parent.parent) for path in masks} if kind == "dagm" else set()
    roles = [_role(each, places[each.path], labels, masks_of, label_folders, ignores_white) for each in photographs]
    _name_types(kind, name, roles)
    if kind == "imagefolder" and _only_train_is_clean(roles):
        kind = "mvtec"
    return Recognised(kind, roles, {**orphans, **labels.rejected}, ignores_white)


def _role(
    picture: Picture,
    place: Place,
    labels: Labels,
    masks_of: Mapping[str, list[Picture]],
    label_folders: set[str],
    ignores_white: bool,
) -> Role:
    masks, boxes = masks_of.get(picture.path, []), labels.boxes.get(picture.path)
    marked = [each for each in masks if (each.look.below_white if ignores_white else not each.look.empty)]
    telling = [folder for folder in place.folders if not is_number(folder)]
    clean = bool(telling and is_clean(telling[-1])) or (not marked and not boxes and (bool(masks) or boxes is not None))
    if not masks and str(PurePosixPath(picture.path).parent) in label_folders:
        clean = True  # DAGM has masks for defects only
    return Role(
        picture,
        place,
        split=labels.splits.get(picture.path, place.split),
        clean=clean,
        masks=marked,
        boxes=boxes or [],
    )


def _masks(pictures: Sequence[Picture], places: Mapping[str, Place]) -> tuple[dict[str, str], dict[str, str]]:
    """The photograph of each mask, and masks without one with the reason, all by path."""
    candidates = [each for each in pictures if not _said_to_be_mask(places[each.path])]
    by_key, by_stem = defaultdict(list), defaultdict(list)
    for each in candidates:
        by_key[places[each.path].key].append(each.path)
        by_stem[places[each.path].stem.lower()].append(each.path)
    masks, orphans = _twins(candidates), {}
    for each in pictures:
        place = places[each.path]
        if not _said_to_be_mask(place):
            continue
        certain = place.in_ground_truth or each.look.like_mask
        stem, above = place.stem.lower(), place.folders[-1:]
        found = by_key.get(place.key) or (by_key.get(place.key[:-1]) if above else None)
        found = found or (by_stem.get(stem) if certain and len(by_stem.get(stem, ())) == 1 else None)
        if photograph := _of_split(found or [], place, places):
            masks[each.path] = masks.get(photograph, photograph)
        elif certain:
            orphans[each.path] = "a mask without its photograph; give both the same name"
    return masks, orphans


def _said_to_be_mask(place: Place) -> bool:
    return place.in_mask_folder or place.has_mask_name


def _twins(pictures: Iterable[Picture]) -> dict[str, str]:
    """Masks that differ from their photographs in the suffix only, such as ``1.jpg`` and ``1.png``."""
    by_stem = defaultdict(list)
    for each in pictures:
        by_stem[str(PurePosixPath(each.path).with_suffix("")).lower()].append(each)
    found: dict[str, str] = {}
    for twins in by_stem.values():
        lossy = [each for each in twins if PurePosixPath(each.path).suffix.lower() in _LOSSY_SUFFIXES]
        photographs = [each for each in twins if not each.look.like_mask] or lossy
        if len(twins) > 1 and photographs:
            paths = {each.path for each in photographs}
            masks = [each for each in twins if each.look.like_mask and each.path not in paths]
            found |= {each.path: photographs[0].path for each in masks if each.size == photographs[0].size}
    return found


def _of_split(paths: Sequence[str], mask: Place, places: Mapping[str, Place]) -> str | None:
    """The photograph of the mask's split; one of ``test`` for a mask without a split, as in MVTec AD."""
    if len(paths) < 2 or len(paths) > _MOST_CANDIDATES:
        return paths[0] if len(paths) == 1 else None
    of_split = [path for path in paths if places[path].split == (mask.split or "test")]
    return of_split[0] if len(of_split) == 1 else None


def _kind(places: Mapping[str, Place], masks: Mapping[str, str], labels: Labels) -> str:
    if labels.kind:
        return labels.kind
    if any(places[path].in_ground_truth for path in masks):
        return "mvtec"
    folders = [PurePosixPath(path.lower()).parts[:-1] for path in masks]
    if any(parts[-3:-1] == ("data", "masks") for parts in folders):
        return "visa"
    if any(_is_dagm(path, photograph) for path, photograph in masks.items()):
        return "dagm"
    if any(places[path].has_mask_name and not places[path].in_mask_folder for path in masks):
        return "kolektor"
    if masks:
        return "pairs"
    return "imagefolder" if any(PurePosixPath(path).parts[:-1] for path in places) else "flat"


def _is_dagm(mask: str, photograph: str) -> bool:
    """Whether the mask is in a folder ``Label`` beside its photograph."""
    folder = PurePosixPath(mask).parent
    return folder.name.lower() == "label" and folder.parent == PurePosixPath(photograph).parent


def _only_train_is_clean(roles: Sequence[Role]) -> bool:
    clean = {split: {each.clean for each in roles if each.split == split} for split in ("train", "test")}
    return clean["train"] == {True} and False in clean["test"]


def _name_types(kind: str, name: str, roles: Sequence[Role]) -> None:
    """Names the type of each photograph: the innermost folder, unless that says nothing of a type; then its boxes.

    Boxes of several types say more than folders. In KolektorSDD folders are parts; with several objects, as in all of
    MVTec AD, a type belongs to one object.
    """
    named = {each.place.folders[-1] for each in roles if each.place.in_named_folder}
    of_boxes = {box.defect_type for each in roles for box in each.boxes}
    objects = {each.place.folders[-2] for each in roles if len(each.place.folders) > 1}
    parts = kind == "kolektor" and named and all(re.fullmatch(r"(?i)kos\d+", folder) for folder in named)
    for each in roles:
        by_boxes = _largest_type(each.boxes)
        in_object = each.place.in_named_folder and len(each.place.folders) > 1
        if parts:
            each.defect_type = name
        elif by_boxes and (len(of_boxes) > 1 or len(named) < 2 or not each.place.in_named_folder):
            each.defect_type = by_boxes
        elif kind in ("mvtec", "visa") and len(objects) > 1 and in_object:
            each.defect_type = f"{each.place.folders[-2]}-{each.place.folders[-1]}"
        elif each.place.in_mask_folder and not each.place.in_named_folder:
            each.defect_type = PurePosixPath(each.picture.path).parts[-2]  # a type that is named as masks are
        else:
            each.defect_type = each.place.folders[-1] if each.place.folders else name


def _largest_type(boxes: Sequence[Box]) -> str | None:
    """The type with the largest area; None if no box has a type."""
    areas: dict[str, float] = defaultdict(float)
    for box in boxes:
        areas[box.defect_type] += min(abs(box.width * box.height), _LARGEST_AREA)
    return max((each for each in areas if each), key=lambda each: areas[each], default=None)
