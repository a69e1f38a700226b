"""Recognises the layout of an upload: which pictures are photographs, masks and clean photographs, and their splits.

It looks at what the files say (`folder_words`, `label_files`), rather than at one data set after another, so that
layouts that differ a little are understood as well.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.boxes import Box, Size
from flawsmith.core.store.datasets.folder_words import Place, is_clean, is_number, place_of
from flawsmith.core.store.datasets.label_files import LABEL_KINDS, Labels, read_labels
from flawsmith.core.store.datasets.layout_options import (
    FOLDER_KINDS,
    MASK_KINDS,
    NO_FOLDER,
    CannotTell,
    LayoutOptions,
)
from flawsmith.core.store.datasets.masks import ignore_white
from flawsmith.core.store.datasets.pairing import Picture, alike, pair_masks
from flawsmith.core.store.datasets.passed_over import PassedOver

_MOST_NAMED = 10  # folders or files in a sentence


@dataclass
class Role:
    """A picture that is a photograph, and what belongs to it."""

    picture: Picture
    place: Place
    defect_type: str = ""
    types_from: str = "folder"  # one of `TYPE_SOURCES`
    split: str | None = None
    clean: bool = False
    masks: list[Picture] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    declared_size: Size | None = None  # by its label file
    declared_type: str | None = None  # by a manifest
    emptied: bool = False  # clean because its masks mark nothing, whatever its folder is called


@dataclass
class Recognised:
    """What was understood of an upload. ``rejected`` has reasons by path, ``colours`` names of types by mask colours.

    ``ignores_white`` says whether white in its masks means pixels to ignore.
    """

    kind: str
    photographs: list[Role]
    rejected: dict[str, str]
    ignores_white: bool = False
    colours: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Evidence:
    """What files say: the photograph of each mask, masks without one, and the labels."""

    places: Mapping[str, Place]
    masks: Mapping[str, str]
    orphans: Mapping[str, str]
    labels: Labels


def recognise(
    pictures: Sequence[Picture],
    documents: Mapping[str, bytes],
    options: LayoutOptions,
    passed_over: PassedOver,
) -> Recognised:
    """Tells the roles of an upload's pictures; their types are left open.

    Args:
        pictures: all pictures that could be decoded.
        documents: the content of all other files, by their paths.
        options: what the caller says.
        passed_over: gets what of a used label file cannot be used.

    Raises:
        CannotTell: there are several ways to read the upload, or it is not as the caller says.
    """
    found = _evidence(pictures, documents, options, passed_over)
    of_masks = [each for each in pictures if each.path in found.masks]
    # Lossy files have such levels by accident.
    gray = all(each.mode == "L" and not each.lossy for each in of_masks)
    ignores_white = gray and ignore_white([each.look for each in of_masks])
    masks_of: dict[str, list[Picture]] = defaultdict(list)
    for each in of_masks:
        masks_of[found.masks[each.path]].append(each)
    kind = options.layout or _kind(found.places, found.masks, found.labels)
    label_folders = {str(PurePosixPath(path).parent.parent) for path in found.masks} if kind == "dagm" else set()
    photographs = [each for each in pictures if each.path not in found.masks and each.path not in found.orphans]
    clean = _clean_folders(options.clean, photographs)
    roles = [
        _role(each, found, masks_of.get(each.path, []), clean, label_folders, ignores_white) for each in photographs
    ]
    if kind == "imagefolder" and options.layout is None and _only_train_is_clean(roles):
        kind = "mvtec"
    rejected = {**found.orphans, **found.labels.rejected}
    return Recognised(kind, roles, rejected, ignores_white, found.labels.colours, _notes(roles))


def _evidence(
    pictures: Sequence[Picture],
    documents: Mapping[str, bytes],
    options: LayoutOptions,
    passed_over: PassedOver,
) -> _Evidence:
    places = {each.path: place_of(each.path) for each in pictures}
    if options.layout in FOLDER_KINDS:
        reason = f"no label is read in the layout '{options.layout}', which was asked for"
        return _Evidence(places, {}, {}, Labels(rejected=dict.fromkeys(documents, reason)))
    masks, orphans = pair_masks(pictures, places)
    unnamed = alike(pictures, places, masks.keys() | orphans.keys())
    if unnamed and options.layout is None:
        raise _unnamed_masks(pictures, unnamed)
    masks |= unnamed
    photographs = [each.path for each in pictures if each.path not in masks and each.path not in orphans]
    only = options.layout if options.layout in (*MASK_KINDS, *LABEL_KINDS) else None
    labels = read_labels(documents, photographs, passed_over, only)
    if options.layout in MASK_KINDS and not masks:
        raise CannotTell("layout", f"no picture of the upload is a mask, as the layout '{options.layout}' needs")
    if options.layout in LABEL_KINDS and options.layout not in labels.of_kind:
        known = ", ".join(sorted(_kinds(documents, photographs))) or "none"
        raise CannotTell("layout", f"no file of the upload has labels as in '{options.layout}'; there are: {known}")
    if options.layout is None:
        _check_labelled_once(labels)
    return _Evidence(places, masks, orphans, labels)


def _kinds(documents: Mapping[str, bytes], photographs: Sequence[str]) -> Collection[str]:
    return read_labels(documents, photographs, PassedOver()).of_kind.keys()


def _unnamed_masks(pictures: Sequence[Picture], unnamed: Mapping[str, str]) -> CannotTell:
    folders = sorted({str(PurePosixPath(path).parent) for path in unnamed})[:_MOST_NAMED]
    named = ", ".join(f"'{printable(each)}'" for each in folders)
    return CannotTell(
        "layout",
        f"the pictures in {named} have the names and sizes of photographs elsewhere and look like masks, but nothing "
        "says that they are: send layout=pairs if they are masks, or layout=imagefolder if they are photographs",
        [
            {"layout": "pairs", "photographs": len(pictures) - len(unnamed), "masks": len(unnamed), "boxes": 0},
            {"layout": "imagefolder", "photographs": len(pictures), "masks": 0, "boxes": 0},
        ],
    )


def _check_labelled_once(labels: Labels) -> None:
    """Raises CannotTell where labels of two formats are about the same photographs."""
    counts: dict[str, int] = defaultdict(int)
    for photographs in labels.of_kind.values():
        for path in photographs:
            counts[path] += 1
    twice = {path for path, count in counts.items() if count > 1}
    if twice:
        kinds = {kind: found for kind, found in labels.of_kind.items() if twice & found.keys()}
        found = "; ".join(
            f"{kind}: {sum(each.values())} boxes, {len(each)} photographs" for kind, each in kinds.items()
        )
        raise CannotTell(
            "layout",
            f"{len(twice)} photographs have labels of several formats ({found}): send layout={min(kinds)} or "
            "another one of them, and only its files are read",
            [
                {"layout": kind, "photographs": len(each), "masks": 0, "boxes": sum(each.values())}
                for kind, each in sorted(kinds.items())
            ],
        )


def _role(
    picture: Picture,
    found: _Evidence,
    masks: Sequence[Picture],
    clean_folders: Set[str] | None,
    label_folders: set[str],
    ignores_white: bool,
) -> Role:
    place, boxes = found.places[picture.path], found.labels.boxes.get(picture.path)
    marked = [each for each in masks if (each.look.below_white if ignores_white else not each.look.empty)]
    telling = [folder for folder in place.folders if not is_number(folder)]
    if clean_folders is None:
        said_clean = bool(telling and is_clean(telling[-1]))
    else:
        said_clean = not clean_folders.isdisjoint(part.lower() for part in PurePosixPath(picture.path).parts[:-1])
    clean = said_clean or (not marked and not boxes and (bool(masks) or boxes is not None))
    if not masks and str(PurePosixPath(picture.path).parent) in label_folders:
        clean = True  # DAGM has masks for defects only
    if picture.path in found.labels.in_split_folders:
        place = replace(place, folders=(), in_named_folder=False)
    return Role(
        picture,
        place,
        split=found.labels.splits.get(picture.path) or place.split or found.labels.weak_splits.get(picture.path),
        clean=clean,
        masks=marked,
        boxes=boxes or [],
        declared_size=found.labels.sizes.get(picture.path),
        declared_type=found.labels.types.get(picture.path),
        emptied=clean and not said_clean and bool(masks),
    )


def _clean_folders(given: Sequence[str] | None, photographs: Sequence[Picture]) -> Set[str] | None:
    """The names of folders of clean photographs, in lower case; None for those that are called so."""
    if given is None:
        return None
    folders = {part for each in photographs for part in PurePosixPath(each.path).parts[:-1]}
    known = {each.lower() for each in folders}
    wanted = {each.lower() for each in given}
    if wanted == {NO_FOLDER} and NO_FOLDER not in known:
        return frozenset()
    if missing := wanted - known:
        named = ", ".join(printable(each) for each in sorted(folders)[:_MOST_NAMED]) or "none"
        raise CannotTell("clean", f"no photograph is in a folder '{printable(min(missing))}'; folders: {named}")
    return wanted


def _notes(roles: Sequence[Role]) -> list[str]:
    emptied = sorted(each.picture.path for each in roles if each.emptied)
    if not emptied:
        return []
    named = ", ".join([*map(printable, emptied[:_MOST_NAMED]), *["…"] * (len(emptied) > _MOST_NAMED)])
    return [f"the masks of {len(emptied)} photographs mark nothing, so these are clean: {named}"]


def _kind(places: Mapping[str, Place], masks: Mapping[str, str], labels: Labels) -> str:
    if labels.kind:
        return labels.kind
    folders = [PurePosixPath(path.lower()).parts[:-1] for path in masks]
    if any("segmentationclass" in parts or "segmentationobject" in parts for parts in folders):
        return "voc"
    if any(places[path].in_ground_truth for path in masks):
        return "mvtec"
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
