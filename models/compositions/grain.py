"""Grain in bands: how much of a patch is its camera's and its surface's grain, and how much is the defect.

A band holds structures of about one size. In each, the patch's grain is what the surface around its defect shows. Where
the defect stands out of it, the patch is kept (Wiener's filter on the local energy, as Lee 1980,
doi:10.1109/TPAMI.1980.4766994); elsewhere the host's own grain stays. So the grain across a border is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flawsmith.models.compositions.footprint import Values
from flawsmith.models.compositions.parts import Mask

DOUBT = 1.5  # times the grain's mean energy is no defect yet …
PEAK = 97  # … and neither is this percentile of the grain's local energy: some grains are brighter than others
OUTLIERS = 95  # percentile of the energy above which a pixel of the surroundings may be another defect's
LEAST_GRAIN = 0.1  # energy of a band below which rounding hides whether the defect is smoother than its surface
FARTHEST = 5.0  # standard deviation in pixels over which local energy is averaged, at most


@dataclass(frozen=True)
class Grain:
    """The grain of one band.

    Attributes:
        energy: its mean square, without outliers.
        peak: energy up to which a place may be grain and no defect.
    """

    energy: float
    peak: float


def bands(values: Values, deviations: Sequence[float]) -> list[Values]:
    """Differences of Gaussian means, finest first, then what is coarser than all: they sum to the values."""
    found, rest = [], values
    for deviation in deviations:
        coarser = ndimage.gaussian_filter(values, (deviation, deviation, 0), mode="nearest")
        found.append(rest - coarser)
        rest = coarser
    return [*found, rest]


def grain_of(parts: Sequence[Values], where: Mask, deviations: Sequence[float]) -> list[Grain]:
    """The grain of each of the `bands` but the coarsest, over some pixels and all channels."""
    found = []
    for band, deviation in zip(parts, deviations, strict=False):
        squares = np.square(band).mean(2)
        here = squares[where]
        energy = float(np.minimum(here, np.percentile(here, OUTLIERS)).mean())
        peak = float(np.percentile(_local_mean(squares, deviation)[where], PEAK))
        found.append(Grain(energy, max(peak, DOUBT * energy)))
    return found


def joined(
    patch: Sequence[Values],
    patch_grain: Sequence[Grain],
    gain: Values,
    host: Sequence[Values],
    host_grain: Sequence[Grain],
    deviations: Sequence[float],
) -> Values:
    """What to add to the host so that it shows the patch's defect in its own grain: (H, W, C).

    Args:
        patch, host: their `bands`; of the host the coarsest stays.
        patch_grain, host_grain: around the defect and on the host.
        gain: (H, W, C), by which the patch's bands were multiplied already, and its grain was not.
        deviations: of the bands.
    """
    change = patch[-1].copy()
    squared = np.square(gain).mean(2)
    for band, grain, own, own_grain, deviation in zip(patch, patch_grain, host, host_grain, deviations, strict=False):
        noise = np.maximum(grain.energy * squared, 1e-3)
        local = _local_mean(np.square(band).mean(2), deviation)
        share = np.clip(1 - grain.peak * squared / np.maximum(local, 1e-6), 0, 1)
        kept = 1 - np.minimum(share * share * noise / max(own_grain.energy, 1e-3), 1)
        if grain.energy >= LEAST_GRAIN:  # where the defect is smoother than its surface, the host's grain fades
            kept = kept * np.minimum(local / noise, 1)
        change += (share[:, :, None] * band - (1 - np.sqrt(kept))[:, :, None] * own).astype(np.float32)
    return change


def _local_mean(squares: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    found: NDArray[np.float32] = ndimage.gaussian_filter(squares, min(1.5 * deviation + 0.5, FARTHEST), mode="nearest")
    return found
