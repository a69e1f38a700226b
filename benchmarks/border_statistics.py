"""Gradients and grain inside of a defect, at its border and around it: a camera leaves them, a seam spoils them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flawsmith.models.compositions.parts import Mask, Pixels

COLLAR = (1, 9)  # pixels from the mask: where a patch may end
FAR = (12, 30)  # pixels from the mask: the surface
FEWEST = 12  # pixels or pairs of pixels that a mean is taken of
FINE = 0.8  # standard deviation of the mean that is taken off to leave the finest grain
COARSE = 2.4
LEAST = 0.3  # gray levels: differences below are rounding

STATISTICS = ("inside", "border", "collar", "seam", "grain inside", "grain around", "coarseness around")
"""Logarithms of ratios to the surface far from the defect.

inside: mean difference of neighbours that both lie in the mask. border: of neighbours on either side of its border.
collar: of neighbours around it. seam: the largest mean step from one distance to the next, to 10 pixels from the mask.
grain inside, grain around: root mean square of what is finer than a pixel's blur. coarseness around: the same of
what is finer than 2.4 pixels, as a ratio to the finest grain.
"""


def border_statistics(pixels: Pixels, mask: Mask, unusable: Mask | None) -> NDArray[np.float64]:
    """(len(STATISTICS),) of one defect; not a number where there are too few pixels.

    Args:
        pixels: (H, W) or (H, W, 3) with at least 30 pixels around the defect, as far as they are there.
        mask: (H, W), the defect.
        unusable: (H, W), where something else is; None: nothing.
    """
    gray = pixels.astype(np.float64).reshape(*mask.shape, -1).mean(2)
    distance = ndimage.distance_transform_edt(~mask)
    distance[np.zeros_like(mask) if unusable is None else unusable & ~mask] = -1
    steps, near, far_off = _pairs(gray, distance)
    surface = (near > FAR[0]) & (far_off <= FAR[1])
    usual = _mean(steps[surface])
    by_distance = [
        _mean(steps[(near > reach - 0.5) & (near <= reach + 0.5) & (far_off > near)]) for reach in range(1, 10)
    ]
    seam = np.nanmax(by_distance) if np.isfinite(by_distance).any() else np.nan
    inside, around, far = mask, _ring(distance, COLLAR), _ring(distance, FAR)
    fine, coarse = (np.square(gray - ndimage.gaussian_filter(gray, each)) for each in (FINE, COARSE))
    root = {
        (name, where): np.sqrt(_mean(values[of]))
        for name, values in (("fine", fine), ("coarse", coarse))
        for where, of in (("in", inside), ("around", around), ("far", far))
    }
    coarseness = [_ratio(root["coarse", where], root["fine", where]) for where in ("around", "far")]
    return np.array(
        [
            _ratio(_mean(steps[(far_off == 0)]), usual),
            _ratio(_mean(steps[(near == 0) & (far_off > 0)]), usual),
            _ratio(_mean(steps[(near > COLLAR[0]) & (far_off <= COLLAR[1])]), usual),
            _ratio(seam, usual),
            _ratio(root["fine", "in"], root["fine", "far"]),
            _ratio(root["fine", "around"], root["fine", "far"]),
            coarseness[0] - coarseness[1],
        ]
    )


def kolmogorov_smirnov(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The largest difference between two empirical distributions, 0 … 1; without what is not a number."""
    first, second = np.sort(first[np.isfinite(first)]), np.sort(second[np.isfinite(second)])
    at = np.concatenate([first, second])
    shares = [np.searchsorted(each, at, side="right") / len(each) for each in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


def _pairs(gray: NDArray[np.float64], distance: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Of all neighbours: their absolute difference, and the lesser and the greater distance from the mask."""
    found = []
    for first, second in (((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
                          ((slice(None), slice(1, None)), (slice(None), slice(None, -1)))):  # fmt: skip
        both = np.stack([distance[first], distance[second]])
        usable = both.min(0) >= 0
        change = np.abs(gray[first] - gray[second])
        found.append((change[usable], both.min(0)[usable], both.max(0)[usable]))
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))


def _ring(distance: NDArray[np.float64], between: tuple[int, int]) -> Mask:
    marked: Mask = (distance > between[0]) & (distance <= between[1])
    return marked


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) >= FEWEST else float("nan")


def _ratio(value: float, usual: float) -> float:
    return float(np.log((value + LEAST) / (usual + LEAST)))
