"""From probabilities to masks that are never empty, and whether a mask looks like the real ones."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
"""(H, W), the pixels that show a defect."""
Range = tuple[float, float]
Figures = dict[str, float]

FIGURES = ("area", "parts", "part_area", "length", "thickness")
PERCENTILES = (2.5, 97.5)
WIDER = 2.0  # how far beyond those of the real masks a figure may be: few masks do not show the extremes
SURE = 0.5  # the least probability of a pixel that shows a defect

_TOUCHING = np.ones((3, 3), bool)  # pixels that touch at a corner are one part


def figures(mask: Mask) -> Figures:
    """What the size and shape of a mask that is not empty come to.

    ``area`` is the share of the picture, ``parts`` how many there are, ``part_area`` the share of the smallest one,
    ``length`` the longer side of the rectangle around the largest one, as a share of the picture's side, and
    ``thickness`` that part's area over its length, as a share of the side.
    """
    numbers, parts = ndimage.label(mask, _TOUCHING)
    sizes = np.bincount(numbers.ravel())[1:]
    largest = ndimage.find_objects(numbers)[int(sizes.argmax())]
    side = max(mask.shape)
    length = max(each.stop - each.start for each in largest)
    return {
        "area": float(mask.mean()),
        "parts": float(parts),
        "part_area": float(sizes.min()) / mask.size,
        "length": length / side,
        "thickness": float(sizes.max()) / length / side,
    }


def plausible_ranges(masks: Sequence[Mask]) -> dict[str, Range]:
    """For each of `FIGURES`, from where to where masks may have it that look like these; empty ones do not count."""
    found = [figures(each) for each in masks if each.any()]
    ranges = {}
    for name in FIGURES:
        low, high = np.percentile([each[name] for each in found], PERCENTILES)
        ranges[name] = (float(low) / WIDER, float(high) * WIDER)
    return ranges


def is_plausible(mask: Mask, ranges: Mapping[str, Range]) -> bool:
    """Whether every figure of the mask is in its range; an empty mask never is."""
    if not mask.any():
        return False
    return all(ranges[name][0] <= each <= ranges[name][1] for name, each in figures(mask).items())


def mask_of(probabilities: NDArray[np.float32], ranges: Mapping[str, Range]) -> tuple[Mask, bool]:
    """The mask of an image, never empty, and whether it is plausible.

    Parts smaller than any of the real masks are left out. Where no pixel is sure enough, the mask has the surest ones,
    as many as the smallest plausible mask has, and is not plausible.

    Args:
        probabilities: (H, W), from 0 to 1.
        ranges: of `plausible_ranges`.
    """
    mask = _without_specks(probabilities >= SURE, ranges["part_area"][0] * probabilities.size)
    if mask.any():
        return mask, is_plausible(mask, ranges)
    least = max(1, round(ranges["area"][0] * probabilities.size))
    surest = np.argsort(-probabilities, axis=None, kind="stable")[:least]
    mask = np.zeros(probabilities.shape, bool)
    mask.flat[surest] = True
    return mask, False


def boxes_of(mask: Mask) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each part; right and bottom are the first pixels outside."""
    return [_corners(each) for each in ndimage.find_objects(ndimage.label(mask, _TOUCHING)[0])]


def parts_of(mask: Mask) -> list[Mask]:
    """Each part as a mask of the whole picture, in the order of `boxes_of`."""
    numbers, parts = ndimage.label(mask, _TOUCHING)
    return [numbers == number for number in range(1, parts + 1)]


def overlap(first: Mask, second: Mask) -> float:
    """Intersection over union, 0 … 1; 1 where both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


def _without_specks(mask: Mask, least: float) -> Mask:
    numbers, _ = ndimage.label(mask, _TOUCHING)
    kept = np.bincount(numbers.ravel()) >= least
    kept[0] = False
    found: Mask = kept[numbers]
    return found


def _corners(place: tuple[slice, slice]) -> tuple[int, int, int, int]:
    rows, columns = place
    return int(columns.start), int(rows.start), int(columns.stop), int(rows.stop)
