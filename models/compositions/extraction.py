"""Patches out of annotated photographs: one for each defect, with its mask and some of the surface around it."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from flawsmith.models.compositions.footprint import MARGIN, Values
from flawsmith.models.compositions.membrane import membrane
from flawsmith.models.compositions.parts import Box, Mask, Patch, Pixels, box_of

JOINED = 4  # pixels; pieces of a mask that are nearer to one another are one defect
SURROUND = 1.5  # times the margin that a composition looks at: a turned patch needs more
CERTAIN = 4.0  # robust standard deviations from the surroundings that a defect reaches somewhere …
LIKELY = 2.5  # … and that its other pixels reach, beside …
EDGE = 0.45  # … this share of the strongest contrast near them: the camera blurs an edge
NEAR = 5  # pixels, the side of the square that is near
SMOOTHING = 0.8  # standard deviation in pixels of the mean whose contrast is tested: one bright grain is no defect
FAINTEST = 2.0  # gray levels that count as one standard deviation at least
ROBUST = 1.4826  # times the median of absolute deviations is a normal standard deviation
REACH = 2  # times a box's longer side, and 2 margins, that are looked at around it


def patches_of(pixels: Pixels, mask: Mask, defect_type: str, source: str) -> list[Patch]:
    """A patch for each defect of a photograph that a mask marks; none for an empty mask.

    A defect that the photograph's border cuts off has its mask at the patch's border, and fades there when placed.
    Sources are `source`, and `source#2` and so on for the other defects of the photograph, from the top.

    Raises:
        ValueError: mask and photograph differ in size.
    """
    if mask.shape != pixels.shape[:2]:
        raise ValueError(
            f"the mask of {source} is {mask.shape[1]} x {mask.shape[0]} pixels, but the photograph is "
            f"{pixels.shape[1]} x {pixels.shape[0]}; they must be of one size"
        )
    defects = [(defect_type, box, own) for box, own in defects_of(mask)]
    return annotated_patches(pixels, defects, source)


def defects_of(mask: Mask) -> list[tuple[Box, Mask]]:
    """The defects that a mask marks: the box of each, and (height, width) of the box, its pixels."""
    near = ndimage.distance_transform_edt(~mask) < JOINED / 2 if mask.any() else mask
    numbers, count = ndimage.label(near, np.ones((3, 3), int))
    found = []
    for number, place in enumerate(ndimage.find_objects(numbers, count), 1):
        own = mask[place] & (numbers[place] == number)
        x, y, width, height = box_of(own)
        box = place[1].start + x, place[0].start + y, width, height
        found.append((box, own[y : y + height, x : x + width]))
    return found


def annotated_patches(pixels: Pixels, defects: Sequence[tuple[str, Box, Mask | None]], source: str) -> list[Patch]:
    """A patch for each annotated defect; a defect in whose box nothing stands out has none.

    Args:
        defects: type, box within the photograph, and (height, width) of the box, the pixels that are the defect; None:
            they are found by contrast (`mask_in_boxes`).
        source: the photograph; the second defect is `source#2`.
    """
    found = mask_in_boxes(pixels, [box for _, box, mask in defects if mask is None])
    marked = []
    everything = np.zeros(pixels.shape[:2], bool)
    for _, (x, y, width, height), mask in defects:
        place = slice(y, y + height), slice(x, x + width)
        own = found[place] if mask is None else mask
        everything[place] |= own
        marked.append((place, own))
    patches = []
    for number, ((defect_type, _, _), (place, own)) in enumerate(zip(defects, marked, strict=True), 1):
        if own.any():
            window = tuple(_widened(each) for each in place)
            top, left = (part.start - around.start for part, around in zip(place, window, strict=True))
            alone = np.zeros(everything[window].shape, bool)  # not of the photograph's size: each would keep all of it
            alone[top : top + own.shape[0], left : left + own.shape[1]] = own
            others = everything[window] & ~alone
            name = source if number == 1 else f"{source}#{number}"
            patches.append(Patch(pixels[window], alone, defect_type, name, others if others.any() else None))
    return patches


def mask_in_boxes(pixels: Pixels, boxes: Sequence[Box]) -> Mask:
    """The pixels within the boxes that stand out from the surface around them: (H, W).

    The surface behind a box is the membrane of what surrounds it; its grain is measured outside of all boxes. A box in
    which nothing stands out marks nothing. Where boxes leave no surface, the photograph's median stands in.

    Args:
        boxes: x, y, width, height; what lies beyond the photograph is left out.
    """
    values = pixels.astype(np.float32).reshape(*pixels.shape[:2], -1)
    outside = np.ones(pixels.shape[:2], bool)
    for x, y, width, height in boxes:
        outside[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = False
    found = np.zeros_like(outside)
    for box in boxes:
        window = _around(box, outside.shape)
        inner = found[window]
        left, top = max(0, box[0]) - window[1].start, max(0, box[1]) - window[0].start
        within = np.zeros_like(inner)
        within[
            max(0, top) : max(0, box[1] + box[3] - window[0].start),
            max(0, left) : max(0, box[0] + box[2] - window[1].start),
        ] = True
        inner |= _standing_out(values[window], outside[window], within)
    return found


def is_cut(patch: Patch) -> bool:
    """Whether the photograph's border cuts the defect off, as far as its patch shows it."""
    left, top, width, height = box_of(patch.mask)
    return left == 0 or top == 0 or left + width == patch.mask.shape[1] or top + height == patch.mask.shape[0]


def _widened(place: slice) -> slice:
    return slice(max(0, int(place.start - SURROUND * MARGIN)), int(place.stop + SURROUND * MARGIN))


def _around(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    reach = REACH * max(box[2], box[3]) + 2 * MARGIN
    rows, columns = (
        slice(max(0, min(at, size) - reach), min(size, max(0, at + length) + reach))
        for at, length, size in ((box[1], box[3], shape[0]), (box[0], box[2], shape[1]))
    )
    return rows, columns


def _standing_out(values: Values, outside: Mask, within: Mask) -> Mask:
    smooth = ndimage.gaussian_filter(values, (SMOOTHING, SMOOTHING, 0), mode="nearest")
    enough = int(outside.sum()) >= max(50, within.sum() // 10)
    behind = membrane(values, outside) if enough else np.median(values, (0, 1))
    surface = outside if enough else np.ones_like(outside)
    difference = np.abs(smooth - behind).max(2)
    grain = max(FAINTEST, ROBUST * float(np.median(difference[surface])))
    least = np.maximum(LIKELY * grain, EDGE * ndimage.maximum_filter(difference, NEAR))
    likely, _ = ndimage.label((difference > least) & within, np.ones((3, 3), int))
    certain = np.unique(likely[(difference > CERTAIN * grain) & within])
    marked: Mask = ndimage.binary_fill_holes(np.isin(likely, certain[certain > 0])) & within
    return marked
