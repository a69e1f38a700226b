"""Places defects on a clean photograph: the same seed makes the same picture."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from flawsmith.models.compositions.blending import blended, own_visibility, visibility
from flawsmith.models.compositions.footprint import Footprint, Values, footprint, random_change
from flawsmith.models.compositions.parts import (
    Blend,
    Change,
    Composition,
    Mask,
    Patch,
    Pixels,
    Placed,
    Rules,
    UnplaceableError,
    box_of,
    check_pixels,
)
from flawsmith.models.compositions.places import random_place
from flawsmith.models.compositions.stamp import Stamp, stamp

VISIBLE = 3.0  # visibility from which on a defect stays: a mask over nothing misleads a detector
FAINTEST = 1.5  # visibility from which on it stays where it has …
FAITHFUL = 0.8  # … this share of its visibility in its own photograph
ATTEMPTS = 12  # patches that are tried for one defect, of its type and then of all
GAP = 4  # pixels between the collars of two defects
MOST = 100  # defects on one photograph


def compose(
    host: Pixels,
    patches: Sequence[Patch],
    seed: int,
    *,
    per_image: tuple[int, int] = (1, 3),
    region: Mask | None = None,
    rules: Rules | Mapping[str, Rules] | None = None,
    blend: Blend = Blend.AUTO,
    attempts: int = ATTEMPTS,
) -> Composition:
    """A photograph with defects at the host's scale, their exact masks and boxes, and where each came from.

    Types take turns in random order, and a type's patches are drawn with equal chance. The same arguments make the same
    bytes with the same NumPy and SciPy on the same kind of processor.

    Args:
        host: a clean photograph, (H, W) or (H, W, 3) uint8.
        patches: what may be placed. Colour on a gray host becomes gray, gray on a colour host takes the host's tint.
        seed: 0 or more.
        per_image: the least and the greatest number of defects, 0 … 100.
        region: (H, W), where defects may lie with their collars, such as `part_region` finds; None: anywhere.
        rules: how patches may be turned and scaled, for all or for each type; not at all without.
        blend: for all defects; `AUTO` decides by each mask's thickness.
        attempts: patches that are tried for one defect, before it is left out.

    Raises:
        UnplaceableError: fewer than the least number of defects fit, or would be seen on this photograph's grain.
        ValueError: an argument is out of its range.
    """
    check_pixels(host, "the host photograph")
    _check(host, patches, per_image, region)
    random = np.random.default_rng(seed)
    count = int(random.integers(per_image[0], per_image[1] + 1))
    canvas = _Canvas(host, region, attempts)
    types = sorted({patch.defect_type for patch in patches})
    order = [types[each] for each in random.permutation(len(types))]
    for index in range(count):
        chosen = [patch for patch in patches if patch.defect_type == order[index % len(order)]]
        if not canvas.add(chosen, rules, blend, random) and not canvas.add(patches, rules, blend, random):
            break
    if len(canvas.placed) < per_image[0]:
        raise UnplaceableError(_why_not(canvas, patches, region, per_image[0]))
    return Composition(canvas.pixels.reshape(host.shape), canvas.placed)


class _Canvas:
    """The photograph while it is composed."""

    def __init__(self, host: Pixels, region: Mask | None, attempts: int) -> None:
        self.attempts = attempts
        self.pixels: Pixels = host.reshape(*host.shape[:2], -1).copy()
        self.free: Mask = np.ones(host.shape[:2], bool) if region is None else region.copy()
        self.placed: list[Placed] = []
        self.hidden = 0  # places at which a defect would not be seen

    def add(
        self,
        patches: Sequence[Patch],
        rules: Rules | Mapping[str, Rules] | None,
        blend: Blend,
        random: np.random.Generator,
    ) -> bool:
        """Places one of the patches, if one of those that are tried fits and is seen."""
        for _ in range(self.attempts):
            patch = patches[int(random.integers(len(patches)))]
            allowed = rules.get(patch.defect_type) if isinstance(rules, Mapping) else rules
            change = random_change(allowed or Rules(), random)
            foot = footprint(patch, change)
            how = stamp(foot, blend)
            covered = (how.alpha[:, :, 0] > 0) | how.mask
            place = random_place(self.free, covered, random)
            if place is not None and self._lay(patch, change, foot, how, covered, place):
                return True
        return False

    def _lay(
        self, patch: Patch, change: Change, foot: Footprint, how: Stamp, covered: Mask, place: tuple[int, int]
    ) -> bool:
        inner, outer = _overlap(covered.shape, self.free.shape, place)
        host = _window(self.pixels, covered.shape, place)
        made = np.clip(blended(foot, how, host), 0, 255)
        seen = visibility(made - host, host, how)
        if seen < FAINTEST or (seen < VISIBLE and seen < FAITHFUL * own_visibility(foot, how)):
            self.hidden += 1
            return False
        rounded = np.rint(made[inner]).astype(np.uint8)
        self.pixels[outer] = np.where(covered[inner][:, :, None], rounded, self.pixels[outer])
        self.free[outer] &= ndimage.distance_transform_edt(~covered)[inner] > GAP
        top, left = place
        column, row, width, height = box_of(how.mask)
        self.placed.append(
            Placed(
                source=patch.source,
                defect_type=patch.defect_type,
                box=(left + column, top + row, width, height),
                marked=how.mask[row : row + height, column : column + width].copy(),
                host_shape=(self.free.shape[0], self.free.shape[1]),
                change=change,
                blend=how.blend,
                visibility=round(seen, 3),
            )
        )
        return True


def _overlap(
    shape: tuple[int, ...], whole: tuple[int, ...], place: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of an array that lies within the photograph: there, and in the photograph."""
    inner, outer = [], []
    for size, limit, at in zip(shape, whole, place, strict=True):
        low, high = max(0, -at), min(size, limit - at)
        inner.append(slice(low, high))
        outer.append(slice(low + at, high + at))
    return (inner[0], inner[1]), (outer[0], outer[1])


def _window(pixels: Pixels, shape: tuple[int, ...], place: tuple[int, int]) -> Values:
    """A copy of the photograph at a place, mirrored beyond its border."""
    inner, outer = _overlap(shape, pixels.shape[:2], place)
    around = [(part.start, size - part.stop) for part, size in zip(inner, shape, strict=True)]
    return np.pad(pixels[outer].astype(np.float32), [*around, (0, 0)], mode="symmetric")


def _check(host: Pixels, patches: Sequence[Patch], per_image: tuple[int, int], region: Mask | None) -> None:
    low, high = per_image
    if not 0 <= low <= high <= MOST:
        raise ValueError(f"per_image must be [low, high] within 0 … {MOST}, not [{low}, {high}]")
    if not patches and high:
        raise ValueError("there are no patches to place; give at least one, or 0 defects per image")
    if region is not None and region.shape != host.shape[:2]:
        raise ValueError(
            f"the region is {region.shape[1]} x {region.shape[0]} pixels, but the host photograph is "
            f"{host.shape[1]} x {host.shape[0]}; they must be of one size"
        )


def _why_not(canvas: _Canvas, patches: Sequence[Patch], region: Mask | None, least: int) -> str:
    boxes = [box_of(patch.mask) for patch in patches]
    _, _, width, height = min(boxes, key=lambda box: box[2] * box[3])
    host_height, host_width = canvas.free.shape
    room = f"the host photograph is {host_width} x {host_height} pixels"
    if region is not None:
        room += f", of which {region.mean():.0%} are the allowed region"
    hidden = f" {canvas.hidden} had room, but would not stand out of the host's grain." if canvas.hidden else ""
    return (
        f"{len(canvas.placed)} of at least {least} defects fit: the smallest is {width} x {height} pixels before its "
        f"collar, and {room}.{hidden} Use a larger or smoother photograph, a larger region, or fewer defects per image"
    )
