"""Pairs masks with their photographs."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from flawsmith.core.domain.image_modes import ImageMode
from flawsmith.core.store.datasets.folder_words import Place
from flawsmith.core.store.datasets.masks import MaskLook

_MOST_CANDIDATES = 100  # photographs among which that of a mask is searched
_FEWEST_ALIKE = 2  # pictures of a folder that looks like one of masks
LOSSY_SUFFIXES = {".jpg", ".jpeg", ".webp"}


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
    synthetic: bool = False  # its file says so

    @property
    def lossy(self) -> bool:
        """Whether its file has levels by accident."""
        return PurePosixPath(self.path).suffix.lower() in LOSSY_SUFFIXES


def pair_masks(pictures: Sequence[Picture], places: Mapping[str, Place]) -> tuple[dict[str, str], dict[str, str]]:
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


def alike(pictures: Sequence[Picture], places: Mapping[str, Place], masks: Collection[str]) -> dict[str, str]:
    """Pictures that look like masks, though nothing says that they are, with their photographs; all by path.

    Those of a folder all of whose pictures look like masks, and have the name and the size of a photograph elsewhere.
    """
    by_folder, by_stem = defaultdict(list), defaultdict(list)
    for each in pictures:
        if each.path not in masks:
            by_folder[PurePosixPath(each.path).parent].append(each)
            if not each.look.like_mask:
                by_stem[places[each.path].stem.lower(), each.size].append(each.path)
    found: dict[str, str] = {}
    for members in by_folder.values():
        partners = [by_stem.get((places[each.path].stem.lower(), each.size), []) for each in members]
        marking = any(each.pixel_digest for each in members)  # plain pictures are no masks
        paired = all(len(each) == 1 for each in partners) and all(each.look.like_mask for each in members)
        if len(members) >= _FEWEST_ALIKE and marking and paired:
            found |= {each.path: paths[0] for each, paths in zip(members, partners, strict=True)}
    return found


def _said_to_be_mask(place: Place) -> bool:
    return place.in_mask_folder or place.has_mask_name


def _twins(pictures: Iterable[Picture]) -> dict[str, str]:
    """Masks that differ from their photographs in the suffix only, such as ``1.jpg`` and ``1.png``."""
    by_stem = defaultdict(list)
    for each in pictures:
        by_stem[str(PurePosixPath(each.path).with_suffix("")).lower()].append(each)
    found: dict[str, str] = {}
    for twins in by_stem.values():
        photographs = [each for each in twins if not each.look.like_mask] or [each for each in twins if each.lossy]
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
