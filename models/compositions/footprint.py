"""A patch mirrored, turned and scaled, with a margin around its defect: what is placed on a host."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flawsmith.models.compositions.parts import Change, Mask, Patch, Rules, box_of

Values = NDArray[np.float32]
"""(H, W, C) gray levels, 0 … 255, not rounded."""

MARGIN = 24  # pixels of the surface around a defect that are looked at, to know its tone and grain
FAR = 1e6  # pixels, where no border of the patch is near


@dataclass(frozen=True)
class Footprint:
    """A patch as it will lie on the host.

    Attributes:
        values: (H, W, C); pixels beyond the patch's border mirror those within.
        mask: (H, W), the defect; a margin of `MARGIN` pixels surrounds it.
        real: (H, W), where the patch has pixels of its own that show no other defect.
        inside: (H, W) float32, pixels to where it is not real, 0 there.
    """

    values: Values
    mask: Mask
    real: Mask
    inside: Values


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

    A mask that a smaller scale would lose keeps the pixel nearest to its middle.
    """
    values = patch.pixels.astype(np.float32)
    values = values if values.ndim == 3 else values[:, :, None]
    mask = patch.mask
    real = np.ones(mask.shape, bool) if patch.others is None else mask | ~patch.others
    if change.mirrored_horizontally:
        values, mask, real = values[:, ::-1], mask[:, ::-1], real[:, ::-1]
    if change.mirrored_vertically:
        values, mask, real = values[::-1], mask[::-1], real[::-1]
    values, mask, real = _with_margin(values, mask, real, 1.5 * MARGIN / min(1, change.scale))
    if change.scale == 1 and change.rotation % 90 == 0:
        quarters = int(change.rotation // 90) % 4
        values, mask, real = np.rot90(values, quarters), np.rot90(mask, quarters), np.rot90(real, quarters)
    else:
        values, mask, real = _turned(values, mask, real, change)
    left, top, width, height = box_of(mask)
    window = (slice(top - MARGIN, top + height + MARGIN), slice(left - MARGIN, left + width + MARGIN))
    values, mask, real = values[window], mask[window], real[window]
    inside = np.full(real.shape, FAR) if real.all() else ndimage.distance_transform_edt(real)
    return Footprint(np.ascontiguousarray(values), np.ascontiguousarray(mask), real, inside.astype(np.float32))


def _with_margin(values: Values, mask: Mask, real: Mask, least: float) -> tuple[Values, Mask, Mask]:
    """The defect with at least this margin, mirrored where the patch ends before; there it is not real."""
    margin = int(np.ceil(least)) + 2
    left, top, width, height = box_of(mask)
    around = []
    window = []
    for start, length, size in ((top, height, mask.shape[0]), (left, width, mask.shape[1])):
        low, high = start - margin, start + length + margin
        around.append((max(0, -low), max(0, high - size)))
        window.append(slice(max(0, low), min(size, high)))
    rows, columns = window
    values, mask, real = values[rows, columns], mask[rows, columns], real[rows, columns]
    return (
        np.pad(values, [*around, (0, 0)], mode="symmetric"),
        np.pad(mask, around),
        np.pad(real, around),
    )


def _turned(values: Values, mask: Mask, real: Mask, change: Change) -> tuple[Values, Mask, Mask]:
    """Turned and scaled about the defect's middle, on a canvas that holds it with its margin."""
    left, top, width, height = box_of(mask)
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
    turned = np.stack(
        [
            ndimage.affine_transform(values[:, :, index], back, offset, shape, order=3, mode="mirror")
            for index in range(values.shape[2])
        ],
        axis=2,
    )
    flat = ndimage.affine_transform(mask.astype(np.float32), back, offset, shape, order=1)
    whole = ndimage.affine_transform(real.astype(np.float32), back, offset, shape, order=1) > 0.99
    marked = flat >= 0.5
    if not marked.any():
        marked[tuple(np.argwhere(flat == flat.max())[0])] = True
    return np.clip(turned, 0, 255), marked, whole
