"""Joins a patch to its host: tone, grain and border.

The host keeps its own surface, and the defect is a change of it: the patch less what its surroundings continue to
behind the defect. A thin defect (`FEATHER`) has its surroundings' Gaussian mean behind it, and fades over a few pixels.
A broad one (`POISSON`) has their membrane, as in Poisson image editing, on a collar of surface that is taken along.
"""

from collections.abc import Sequence

import numpy as np

from flawsmith.models.compositions.footprint import Footprint, Values
from flawsmith.models.compositions.grain import bands, grain_of, hidden_grain, without_grain
from flawsmith.models.compositions.membrane import membrane, smooth_outside
from flawsmith.models.compositions.parts import Blend, Mask
from flawsmith.models.compositions.stamp import BACKGROUND, Stamp

DEVIATIONS = {Blend.FEATHER: (0.8, 1.6, 3.2, 6.4), Blend.POISSON: (0.8, 1.6, 3.2, 6.4, 12.8)}  # of the bands, in pixels
GAINS = (0.5, 2.0)  # of tone: farther from its own light a defect is a guess, and its grain is exaggerated
CONTRASTS = (0.7, 1.4)  # by how much a louder host strengthens a defect: grain tells little of a defect's contrast
SIGN = np.float32(0.5)  # per gray level, how fast the gain of dark changes becomes that of bright ones
LEAST_VISIBLE = 1.0  # gray levels that count as grain at least: no eye sees less than a few of them
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
    darker, brighter = _gains(behind, own[-1], float(contrast))
    usual = float(np.sqrt((darker * brighter)[how.near].mean()))
    defect = without_grain(bands(difference, deviations), foot.mask, grain, usual, own_grain, deviations)
    bright = 1 / (1 + np.exp(np.clip(-SIGN * defect.change, -30, 30)))
    gain = darker + (brighter - darker) * bright
    made: Values = host + how.alpha * (gain * defect.change - hidden_grain(defect, grain, gain, own, own_grain))
    return made


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


def _gains(behind: Values, host: Values, contrast: float) -> tuple[Values, Values]:
    """Factors for dark and for bright changes.

    A dark defect takes the same share of the host's light, a bright one the same share of what lacks to white.
    """
    darker = np.clip((host + 1) / (behind + 1), *GAINS) * np.float32(contrast)
    brighter = np.clip((256 - host) / (256 - behind), *GAINS) * np.float32(contrast)
    return darker, brighter


def _channels(values: Values, channels: int) -> Values:
    """The patch in the host's channels: colour becomes gray by its luma, gray becomes neutral colour."""
    if values.shape[2] == channels:
        return values
    return np.repeat(values, channels, 2) if channels == 3 else values @ LUMA[:, None]
