"""A patch mirrored, turned and scaled, with a margin around its defect: what is placed on a host."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flawsmith.models.compositions.parts import Change, Mask, Patch, Rules, box_of

Values = NDArray[np.float32]
"""(H, W, C) gray levels, 0 … 255, not rounded."""

MARGIN = 32  # pixels of the surface around a defect that are looked at, to know its tone and grain
MASK, WITHIN, OTHERS = range(3)  # of the planes that go with the pixels: the defect, the patch, other defects
FAR = 1e6  # pixels, where no border of the patch is near


@dataclass(frozen=True)
class Footprint:
    """A patch as it will lie on the host.

    Attributes:
        values: (H, W, C); pixels beyond the patch's border mirror those within.
        mask: (H, W), the defect; a margin of `MARGIN` pixels surrounds it.
        real: (H, W), where the patch has pixels of its own that show no other defect.
        to_border: (H, W) float32, pixels to the patch's border, 0 beyond it.
    """

    values: Values
    mask: Mask
    real: Mask
    to_border: NDArray[np.float32]


def random_change(rules: Rules, random: np.random.Generator) -> Change:
    """Draws what is done to a patch; scales are log-uniform."""
    mirrors = random.random(2) < 0.5
    low, high = np.log(rules.scale)
    return Change(
        mirrored_horizontally=rules.mirror_horizontally and bool(mirrors[0]),
        mirrored_vertically=rules.mirror_vertically and bool(mirrors[1]),
        rotation=round(float(random.uniform(*rules.rotation)), 2),
        scale=round(float(np.exp(random.uniform(low, high))), 4),
    )


def footprint(patch: Patch, change: Change) -> Footprint:
    """The patch as changed. Mirroring and turns by right angles keep every pixel; other turns interpolate.

    A mask that a smaller scale would lose keeps the pixel in its middle.
    """
    values = patch.pixels.astype(np.float32)
    values = values if values.ndim == 3 else values[:, :, None]
    others = np.zeros_like(patch.mask) if patch.others is None else patch.others & ~patch.mask
    marks = np.stack([patch.mask, np.ones_like(patch.mask), others], 2)
    if change.mirrored_horizontally:
        values, marks = values[:, ::-1], marks[:, ::-1]
    if change.mirrored_vertically:
        values, marks = values[::-1], marks[::-1]
    values, marks = _with_margin(values, marks, 1.5 * MARGIN / min(1, change.scale))
    if change.scale == 1 and change.rotation % 90 == 0:
        quarters = int(change.rotation // 90) % 4
        values, marks = np.rot90(values, quarters), np.rot90(marks, quarters)
    else:
        values, marks = _turned(values, marks, change)
    left, top, width, height = box_of(marks[:, :, MASK])
    rows, columns = slice(top - MARGIN, top + height + MARGIN), slice(left - MARGIN, left + width + MARGIN)
    marks = marks[rows, columns]
    within = marks[:, :, WITHIN]
    to_border = np.full(within.shape, FAR) if within.all() else ndimage.distance_transform_edt(within)
    return Footprint(
        values=np.ascontiguousarray(values[rows, columns]),
        mask=marks[:, :, MASK].copy(),
        real=within & ~marks[:, :, OTHERS],
        to_border=to_border.astype(np.float32),
    )


def _with_margin(values: Values, marks: Mask, least: float) -> tuple[Values, Mask]:
    """The defect with at least this margin: values mirrored where the patch ends before, nothing marked there."""
    margin = int(np.ceil(least)) + 2
    left, top, width, height = box_of(marks[:, :, MASK])
    around, window = [], []
    for start, length, size in ((top, height, marks.shape[0]), (left, width, marks.shape[1])):
        low, high = start - margin, start + length + margin
        around.append((max(0, -low), max(0, high - size)))
        window.append(slice(max(0, low), min(size, high)))
    rows, columns = window
    pads = [*around, (0, 0)]
    return np.pad(values[rows, columns], pads, mode="symmetric"), np.pad(marks[rows, columns], pads)


def _turned(values: Values, marks: Mask, change: Change) -> tuple[Values, Mask]:
    """Turned and scaled about the defect's middle, on a canvas that holds it with its margin."""
    left, top, width, height = box_of(marks[:, :, MASK])
    middle = np.array([top + (height - 1) / 2, left + (width - 1) / 2])
    cos, sin = np.cos(np.deg2rad(change.rotation)), np.sin(np.deg2rad(change.rotation))
    turn = np.array([[cos, sin], [-sin, cos]])  # rows grow downwards: from the turned picture to the patch
    corners = np.abs(turn.T) @ np.array([height, width]) * change.scale
    shape = tuple(int(np.ceil(each)) + 2 * MARGIN + 5 for each in corners)
    back = turn / change.scale
    offset = middle - back @ ((np.array(shape) - 1) / 2)
    if change.scale < 1:  # what is finer than the new pixels would alias
        blur = 0.5 * np.sqrt(1 / change.scale**2 - 1)
        values = ndimage.gaussian_filter(values, (blur, blur, 0), mode="nearest")
    turned = [
        ndimage.affine_transform(plane, back, offset, shape, order=3, mode="mirror")
        for plane in np.moveaxis(values, 2, 0)
    ]
    shares = [
        ndimage.affine_transform(plane.astype(np.float32), back, offset, shape, order=1)
        for plane in np.moveaxis(marks, 2, 0)
    ]
    mask = shares[MASK] >= 0.5
    if not mask.any():
        mask[shape[0] // 2, shape[1] // 2] = True
    return np.clip(np.stack(turned, 2), 0, 255), np.stack([mask, shares[WITHIN] > 0.99, shares[OTHERS] > 0.01], 2)
