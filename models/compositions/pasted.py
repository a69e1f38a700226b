"""Square pictures of one defect type, one for each key: real defects on squares of surface without any.

A defect that is larger than the square reaches over its border, as it does in squares that are cut out of photographs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flawsmith.models.compositions.compose import compose
from flawsmith.models.compositions.footprint import random_change
from flawsmith.models.compositions.measured_rules import measured_rules
from flawsmith.models.compositions.parts import Change, Mask, Patch, Pixels, Rules, UnplaceableError, box_of
from flawsmith.models.compositions.stamp import WIDEST

TRIES = 32  # squares and defects that are tried for a key, before …
SUBSTITUTES = 64  # … the first of these that can be made stands in, the same for all keys of a type
PATCHES_TRIED, PLACES_TRIED = 4, 2  # for one defect
LEAST_SHOWN = 0.25  # of what a square can show of a defect
COLLAR = WIDEST + 1  # pixels around a mask that are pasted with it, at most
APART = 16  # pixels between two defects


@dataclass(frozen=True)
class PasteMaterial:
    """What pictures are pasted of.

    Attributes:
        hosts: (N, side, side, C) uint8, squares that show no defect; C is 1 or 3.
        hosts_of: by type, the positions of the squares that its defects are pasted on; at least one each.
        patches: by type, its defects; at least one each.
    """

    hosts: NDArray[np.uint8]
    hosts_of: Mapping[str, Sequence[int]]
    patches: Mapping[str, Sequence[Patch]]

    @property
    def side(self) -> int:
        return int(self.hosts.shape[1])

    @cached_property
    def rules(self) -> dict[str, Rules]:
        """How the defects of each type may be turned and scaled."""
        return measured_rules([patch for each in self.patches.values() for patch in each])


@dataclass(frozen=True)
class Pasted:
    """A picture, (side, side, C) uint8, and the pixels of each of its defects, (side, side), at least one of them."""

    pixels: Pixels
    masks: list[Mask]


def pasted(material: PasteMaterial, defect_type: str, key: str, per_image: tuple[int, int]) -> Pasted:
    """The picture of a key. The same arguments make the same bytes; see `compose`.

    Args:
        material: to paste.
        defect_type: of all defects in the picture.
        key: decides everything random.
        per_image: the least and the greatest number of defects. The least that the picture has is one.

    Raises:
        UnplaceableError: no picture of the type can be made.
    """
    keys = [f"{key} {number}" for number in range(TRIES)]
    keys += [f"substitute {number}" for number in range(SUBSTITUTES)]
    for each in keys:
        random = np.random.default_rng(int.from_bytes(hashlib.sha256(each.encode()).digest()))
        if made := _tried(material, defect_type, per_image, random):
            return made
    raise UnplaceableError(
        f"on none of {len(keys)} squares of {material.side} pixels a defect of '{defect_type}' found a place at which "
        "it would be seen; choose another resolution, or add photographs of clean, smooth surfaces"
    )


def _tried(
    material: PasteMaterial, defect_type: str, per_image: tuple[int, int], random: np.random.Generator
) -> Pasted | None:
    hosts, patches = material.hosts_of[defect_type], material.patches[defect_type]
    pixels: Pixels = material.hosts[hosts[int(random.integers(len(hosts)))]]
    masks = list[Mask]()
    for _ in range(int(random.integers(per_image[0], per_image[1] + 1))):
        for _ in range(PATCHES_TRIED):
            patch = patches[int(random.integers(len(patches)))]
            if found := _with_defect(pixels, masks, patch, material.rules[defect_type], random):
                pixels, mask = found
                masks.append(mask)
                break
    return Pasted(pixels, masks) if masks else None


def _with_defect(
    pixels: Pixels, masks: Sequence[Mask], patch: Patch, rules: Rules, random: np.random.Generator
) -> tuple[Pixels, Mask] | None:
    """The picture with one more defect, and the defect's pixels; None where it finds no place."""
    side, change = len(pixels), random_change(rules, random)
    extents = _extents(patch.mask, change)
    margins = [(_margin(each, side),) * 2 for each in extents]  # what large defects reach over
    free = np.ones((side, side), bool)
    for each in masks:
        free &= ndimage.distance_transform_edt(~each) > APART
    canvas = np.pad(pixels, [*margins, (0, 0)], mode="symmetric")
    try:
        made = compose(
            canvas if canvas.shape[2] > 1 else canvas[:, :, 0],
            [patch],
            int(random.integers(2**63)),
            per_image=(1, 1),
            region=np.pad(free, margins, constant_values=True),
            rules=Rules((change.rotation, change.rotation), (change.scale, change.scale)),
            attempts=PLACES_TRIED,
        )
    except UnplaceableError:
        return None
    (top, _), (left, _) = margins
    within = slice(top, top + side), slice(left, left + side)
    mask = made.mask[within]
    most = made.mask.sum() * np.prod([min(1.0, side / each) for each in extents])
    if mask.sum() < max(1, LEAST_SHOWN * most):
        return None
    return made.pixels[within].reshape(pixels.shape).copy(), mask.copy()


def _extents(mask: Mask, change: Change) -> tuple[float, float]:
    """Height and width of the defect's box once it is turned and scaled, at most."""
    _, _, width, height = box_of(mask)
    across, along = abs(np.sin(np.deg2rad(change.rotation))), abs(np.cos(np.deg2rad(change.rotation)))
    return float(height * along + width * across) * change.scale, float(width * along + height * across) * change.scale


def _margin(extent: float, side: int) -> int:
    """Pixels beyond the square on either side: as many as a defect and its collar need, in some place or other.

    One that is larger than the square has half of the square to move, so that it always shows.
    """
    missing = extent + 2 * COLLAR - side
    return int(np.ceil(missing / 2)) + (side // 4 if extent > side else 2) if missing > 0 else 0
