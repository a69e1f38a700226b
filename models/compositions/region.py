"""Where on a photograph defects may lie: the part's foreground by a threshold, or a polygon."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flawsmith.models.compositions.parts import Mask, Pixels, check_pixels

LONGEST = 256  # pixels of the longer side at which foreground and background are told apart
SMOOTHING = 1.5  # standard deviation of the mean in those pixels: grain is no background
SEPARATED = 0.85  # share of the variance that two levels must explain (Otsu 1979, doi:10.1109/TSMC.1979.4310076)
UNIFORM = 0.25  # of the distance between the levels: the background's greatest standard deviation
SHARES = (0.05, 0.95)  # of the photograph that a part may cover
BORDER = 0.7  # share of the photograph's border, at least, that is background
ONE_PART = 0.9  # share of the foreground in its largest piece
LEVELS = 256


@dataclass(frozen=True)
class Region:
    """Where defects may lie.

    Attributes:
        mask: (H, W).
        whole: whether it is the whole photograph, because no background was found.
        reason: one sentence that says why.
    """

    mask: Mask
    whole: bool
    reason: str


def part_region(pixels: Pixels) -> Region:
    """The part before a uniform background, or the whole photograph where there is no such background.

    Two levels of brightness must explain the photograph, the background must be uniform and make up most of the border,
    and the part must be one piece. Shadows, stripes and stains pass some of these tests, but not all.
    """
    check_pixels(pixels, "the host photograph")
    height, width = pixels.shape[:2]
    step = -(-max(height, width) // LONGEST)
    small = ndimage.gaussian_filter(_means(pixels, step), SMOOTHING, mode="nearest")
    threshold, explained = _otsu(small)
    bright = small > threshold
    border = np.concatenate([bright[0], bright[-1], bright[1:-1, 0], bright[1:-1, -1]])
    part = bright if border.mean() < 0.5 else ~bright
    doubt = _doubt(small, part, explained, max(border.mean(), 1 - border.mean()))
    if doubt:
        return Region(np.ones((height, width), bool), True, f"the whole photograph: {doubt}")
    pieces, count = ndimage.label(part)
    largest = pieces == 1 + int(np.argmax(ndimage.sum(part, pieces, range(1, count + 1))))
    rows, columns = (
        np.minimum(np.arange(size) // step, limit - 1) for size, limit in zip((height, width), part.shape, strict=True)
    )
    mask = ndimage.binary_fill_holes(largest)[np.ix_(rows, columns)]
    mask = ndimage.binary_erosion(mask, iterations=step + 1)  # the edge was found to a coarse pixel
    return Region(mask, False, f"the part, {mask.mean():.0%} of the photograph, before a uniform background")


def polygon_region(corners: Sequence[tuple[float, float]], width: int, height: int) -> Mask:
    """The pixels whose middle lies within a polygon, by the even-odd rule: (height, width).

    Args:
        corners: x, y in pixels from the photograph's upper left corner; the last is joined to the first.

    Raises:
        ValueError: fewer than three corners.
    """
    if len(corners) < 3:
        raise ValueError(f"a polygon has at least 3 corners, not {len(corners)}")
    inside = np.zeros((height, width), bool)
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        crossed = (y0 <= y) != (y1 <= y)
        at = x0 + (y[crossed] - y0) / (y1 - y0) * (x1 - x0) if y0 != y1 else np.zeros(0)
        inside[crossed] ^= x[None] > at[:, None]
    return inside


def _means(pixels: Pixels, step: int) -> NDArray[np.float32]:
    """Gray means of blocks of `step` pixels; those at the right and at the bottom may be smaller."""
    rows, columns = (np.arange(0, size, step) for size in pixels.shape[:2])
    gray = pixels if pixels.ndim == 2 else np.add.reduce(pixels, 2, np.uint16)
    sums = np.add.reduceat(np.add.reduceat(gray, rows, 0, np.uint32), columns, 1)
    heights, widths = (np.diff([*at, size]) for at, size in zip((rows, columns), pixels.shape[:2], strict=True))
    channels = pixels.size // (pixels.shape[0] * pixels.shape[1])
    means: NDArray[np.float32] = (sums / (np.outer(heights, widths) * channels)).astype(np.float32)
    return means


def _otsu(values: NDArray[np.float32]) -> tuple[float, float]:
    """The threshold between two levels, and the share of the variance that they explain, 0 … 1."""
    counts = np.bincount(np.clip(values, 0, LEVELS - 1).astype(np.int64).ravel(), minlength=LEVELS) / values.size
    levels = np.arange(LEVELS) + 0.5
    below = np.cumsum(counts)[:-1]
    sums = np.cumsum(counts * levels)[:-1]
    mean = float((counts * levels).sum())
    variance = float((counts * (levels - mean) ** 2).sum())
    between = (mean * below - sums) ** 2 / np.maximum(below * (1 - below), 1e-9)
    best = np.flatnonzero(between >= between.max() * (1 - 1e-6))
    return float(best.mean()) + 1, float(between.max()) / max(variance, 1e-9)


def _doubt(values: NDArray[np.float32], part: Mask, explained: float, border: float) -> str:
    """Why the division may not be that of a part and its background; empty where nothing speaks against it."""
    share = float(part.mean())
    if explained < SEPARATED:
        return f"two levels of brightness explain {explained:.0%} of it, and {SEPARATED:.0%} would tell a part apart"
    if not SHARES[0] <= share <= SHARES[1]:
        return f"what might be a part covers {share:.0%} of it"
    if border < BORDER:
        return f"{border:.0%} of its border are of one level, and {BORDER:.0%} would be a background's"
    contrast = abs(float(values[part].mean() - values[~part].mean()))
    if float(values[~part].std()) > UNIFORM * contrast:
        return "what might be its background is not uniform"
    pieces, count = ndimage.label(part)
    largest = float(np.max(ndimage.sum(part, pieces, range(1, count + 1)))) / float(part.sum())
    if largest < ONE_PART:
        return f"what might be a part lies in {count} pieces"
    return ""
