"""How patches may be turned and scaled without showing what the photographs do not: measured on the defects' masks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flawsmith.models.compositions.parts import Mask, Patch, Rules

FEWEST = 8  # defects of a type, without which nothing is changed
ELONGATED = 2.0  # length to width, from which on a defect has a direction
SIGNIFICANT = 0.05  # probability of as strong a common direction by chance, below which there is one
SHARE = 0.5  # of the measured spread that a patch is moved at most: it has a direction and a size of its own already
MOST_TURNED = 15.0  # degrees, where there is a common direction: grain and light have it too
MOST_SCALED = 1.25


def measured_rules(patches: Sequence[Patch]) -> dict[str, Rules]:
    """Rules for each type.

    Where the directions of a type's elongated defects are spread evenly (Rayleigh's test on doubled angles), any turn
    is allowed, else a part of their spread. Sizes change by a part of their spread. No mirror images: masks do not show
    whether light comes from one side.
    """
    types = sorted({patch.defect_type for patch in patches})
    return {name: _rules([patch.mask for patch in patches if patch.defect_type == name]) for name in types}


def direction(mask: Mask) -> tuple[float, float]:
    """Direction of a mask's longer axis in degrees counter-clockwise from level, 0 … 180, and length to width."""
    rows, columns = np.nonzero(mask)
    x, y = columns - columns.mean(), rows.mean() - rows
    across, down, mixed = (float((a * b).mean()) for a, b in ((x, x), (y, y), (x, y)))
    angle = float(np.rad2deg(0.5 * np.arctan2(2 * mixed, across - down))) % 180
    spread = float(np.hypot((across - down) / 2, mixed))
    middle = (across + down) / 2 + 1 / 12  # a pixel has an extent
    return angle, float(np.sqrt((middle + spread) / max(middle - spread, 1e-9)))


def _rules(masks: Sequence[Mask]) -> Rules:
    if len(masks) < FEWEST:
        return Rules()
    spread = float(np.std([np.log(mask.sum()) / 2 for mask in masks]))
    factor = round(min(MOST_SCALED, float(np.exp(SHARE * spread))), 3)
    found = [direction(mask) for mask in masks]
    angles = np.deg2rad([2 * angle for angle, ratio in found if ratio >= ELONGATED])
    return Rules(rotation=_rotation(angles), scale=(round(1 / factor, 3), factor))


def _rotation(doubled: NDArray[np.float64]) -> tuple[float, float]:
    if len(doubled) < FEWEST:
        return 0, 0
    common = float(np.abs(np.exp(1j * doubled).mean()))
    if np.exp(-len(doubled) * common**2) > SIGNIFICANT:
        return -180, 180
    deviation = float(np.rad2deg(np.sqrt(max(0.0, -2 * np.log(common))))) / 2
    turned = round(min(MOST_TURNED, SHARE * deviation), 1)
    return -turned, turned
