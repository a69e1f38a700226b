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
LOUDER = 8.0  # times as much energy, at most, where the patch's grain would be so much louder than the host's
OUTLIERS = 95  # percentile of the energy above which a pixel of the surroundings may be another defect's
LEAST_GRAIN = 0.1  # energy of a band below which rounding hides whether the defect is smoother than its surface
SMOOTH = 0.4  # of the grain's energy, below which a place is smoother than its surface, and not just by chance
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


@dataclass(frozen=True)
class Defect:
    """What a patch shows beyond its surface's grain.

    Attributes:
        change: (H, W, C) gray levels.
        shares: (H, W) of each band but the coarsest, how much of it was kept, 0 … 1.
        relative: (H, W) of each of these, its local energy as a multiple of the grain's.
        within: of each of these, what is usual in the defect: few pixels of a broad one are at its edge.
    """

    change: Values
    shares: Sequence[NDArray[np.float32]]
    relative: Sequence[NDArray[np.float32]]
    within: Sequence[float]


def without_grain(
    patch: Sequence[Values],
    mask: Mask,
    grain: Sequence[Grain],
    gain: float,
    host: Sequence[Grain],
    deviations: Sequence[float],
) -> Defect:
    """Takes the grain out of a patch's bands.

    Args:
        patch: its `bands`.
        mask: (H, W), the defect.
        grain, host: around the defect and on the host.
        gain: by which the patch will about be multiplied: the louder its grain would be on the host, the farther a
            structure must stand out of it.
        deviations: of the bands.
    """
    change = patch[-1].copy()
    shares, relative, within = [], [], []
    for band, own, others, deviation in zip(patch, grain, host, deviations, strict=False):
        louder = own.energy * gain**2 / max(others.energy, LEAST_GRAIN)
        doubtful = own.peak * float(np.clip(louder, 1, LOUDER))
        local = _local_mean(np.square(band).mean(2), deviation)
        share = np.clip(1 - doubtful / np.maximum(local, 1e-6), 0, 1).astype(np.float32)
        change += share[:, :, None] * band
        shares.append(share)
        relative.append(local / np.float32(max(own.energy, 1e-3)))
        within.append(float(np.median(relative[-1][mask])))
    return Defect(change, shares, relative, within)


def hidden_grain(
    defect: Defect, grain: Sequence[Grain], gain: Values, host: Sequence[Values], host_grain: Sequence[Grain]
) -> Values:
    """The part of the host's grain that the defect's own replaces, or that a smoother defect hides: (H, W, C).

    Args:
        defect, grain: of the patch.
        gain: (H, W, C), by which the patch is multiplied.
        host, host_grain: its `bands` and their grain.
    """
    hidden = np.zeros_like(host[0])
    squared = np.square(gain).mean(2)
    for share, relative, within, own, band, others in zip(
        defect.shares, defect.relative, defect.within, grain, host, host_grain, strict=False
    ):
        kept = 1 - np.minimum(np.square(share) * squared * own.energy / max(others.energy, 1e-3), 1)
        if own.energy >= LEAST_GRAIN:
            kept = kept * np.minimum(relative / SMOOTH, min(within, 1))
        hidden += ((1 - np.sqrt(kept))[:, :, None] * band).astype(np.float32)
    return hidden


def _local_mean(squares: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    found: NDArray[np.float32] = ndimage.gaussian_filter(squares, min(1.5 * deviation + 0.5, FARTHEST), mode="nearest")
    return found
