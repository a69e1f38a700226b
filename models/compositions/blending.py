"""Joins a patch to its host: tone, grain and border.

The host keeps its own surface, and the defect is a change of it: the patch less what its surroundings continue to
behind the defect. A thin defect (`FEATHER`) has its surroundings' Gaussian mean behind it, and fades over a few pixels.
A broad one (`POISSON`) has their membrane, as in Poisson image editing, on a collar of surface that is taken along.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from flawsmith.models.compositions.footprint import Footprint, Values
from flawsmith.models.compositions.grain import bands, grain_of, joined
from flawsmith.models.compositions.membrane import membrane, smooth_outside
from flawsmith.models.compositions.parts import Blend, Mask
from flawsmith.models.compositions.stamp import BACKGROUND, Stamp

DEVIATIONS = {Blend.FEATHER: (0.8, 1.6, 3.2, 6.4), Blend.POISSON: (0.8, 1.6, 3.2, 6.4, 12.8)}  # of the bands, in pixels
GAINS = (0.25, 4.0)  # of tone
CONTRASTS = (0.7, 1.4)  # by how much a louder host strengthens a defect: grain tells little of a defect's contrast
LEAST_VISIBLE = 0.5  # gray levels that count as grain at least: rounding hides smaller ones
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def blended(foot: Footprint, how: Stamp, host: Values) -> Values:
    """The host's window with the defect on it: (H, W, C) float32, not rounded.

    Args:
        foot, how: the patch and how it joins.
        host: (H, W, C) gray levels of the host at the patch's place, 1 or 3 channels whatever the patch has.
    """
    patch = _channels(foot.values, host.shape[2])
    if not how.surface.any():
        return host + how.alpha * (patch - host)
    deviations = DEVIATIONS[how.blend]
    behind = _behind(patch, foot, how)
    own = bands(host, deviations)
    own_grain = grain_of(own, how.near, deviations)
    difference = (patch - behind) * foot.real[:, :, None]
    undisturbed = np.where(how.bare[:, :, None], difference, 0)
    grain = grain_of(bands(undisturbed, deviations), how.surface, deviations)
    loudness, own_loudness = (sum(each.energy for each in of) + 1 for of in (grain, own_grain))
    contrast = np.clip(np.sqrt(own_loudness / loudness), *CONTRASTS)
    gain = _gain(difference, behind, own[-1], float(np.sqrt(loudness))) * np.float32(contrast)
    parts = bands(difference * gain, deviations)
    return host + how.alpha * joined(parts, grain, gain, own, own_grain, deviations)


def visibility(change: Values, host: Values, how: Stamp) -> float:
    """How far the change inside the mask stands out of the host's grain: the largest of all bands.

    Root mean square of the change in a band, as a multiple of that of the host's strongest grains.
    """
    return _standing_out(change, bands(host, DEVIATIONS[how.blend]), how.near, how)


def own_visibility(foot: Footprint, how: Stamp) -> float:
    """How far the defect stands out of the surface that its own photograph shows, measured as `visibility`."""
    if not how.surface.any():
        return float("inf")
    behind = _behind(foot.values, foot, how)
    deviations = DEVIATIONS[how.blend]
    difference = (foot.values - behind) * foot.real[:, :, None]
    undisturbed = bands(np.where(how.bare[:, :, None], difference, 0), deviations)
    return _standing_out(difference, undisturbed, how.surface, how)


def _behind(patch: Values, foot: Footprint, how: Stamp) -> Values:
    """What the patch would show without its defect."""
    known = how.bare & foot.real
    if how.blend is Blend.POISSON:
        return membrane(patch, known)
    return smooth_outside(patch, known, BACKGROUND)


def _standing_out(change: Values, surface: Sequence[Values], where: Mask, how: Stamp) -> float:
    deviations = DEVIATIONS[how.blend]
    peaks = [each.peak for each in grain_of(surface, where, deviations)]
    energies = [float(np.square(band[how.mask]).mean()) for band in bands(change, deviations)]
    return max(
        float(np.sqrt(energy / max(peak, LEAST_VISIBLE**2)))
        for energy, peak in zip(energies, [*peaks, peaks[-1]], strict=True)
    )


def _gain(difference: Values, behind: Values, host: Values, grain: float) -> Values:
    """A dark defect takes the same share of the host's light, a bright one the same share of what lacks to white.

    The sign is that of the smoothed difference, so that grain is not bent.
    """
    darker = np.clip((host + 1) / (behind + 1), *GAINS)
    brighter = np.clip((256 - host) / (256 - behind), *GAINS)
    smooth = ndimage.gaussian_filter(difference, (1.6, 1.6, 0), mode="nearest")
    bright = 1 / (1 + np.exp(np.clip(-4 * smooth / np.float32(grain), -30, 30)))
    found: Values = (darker + (brighter - darker) * bright).astype(np.float32)
    return found


def _channels(values: Values, channels: int) -> Values:
    """The patch in the host's channels: colour becomes gray by its luma, gray becomes neutral colour."""
    if values.shape[2] == channels:
        return values
    return np.repeat(values, channels, 2) if channels == 3 else values @ LUMA[:, None]
