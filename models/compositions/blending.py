"""Joins a patch to its host: tone, grain and border.

The host keeps its own surface, and the defect is a change of it: the patch less what its surroundings continue to
behind the defect. A thin defect (`FEATHER`) has its surroundings' Gaussian mean behind it, and fades over a few pixels.
A broad one (`POISSON`) has their membrane, as in Poisson image editing, on a collar of surface that is taken along.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from flawsmith.models.compositions.footprint import Footprint, Values
from flawsmith.models.compositions.grain import bands, grain_of, joined
from flawsmith.models.compositions.membrane import membrane, smooth_outside
from flawsmith.models.compositions.parts import Blend, Mask

BROAD = 8.0  # radius in pixels of the largest disc in a mask, from which on it is blended by its membrane
COLLARS = {Blend.FEATHER: 3, Blend.POISSON: 8}  # pixels of surface around the mask that are taken along
DEVIATIONS = {Blend.FEATHER: (0.8, 1.6, 3.2, 6.4), Blend.POISSON: (0.8, 1.6, 3.2, 6.4, 12.8)}  # of the bands, in pixels
SURROUNDINGS = 16.0  # pixels around the mask that show the patch's surface
FEWEST = 50  # pixels of surroundings; with fewer the patch is all defect
BACKGROUND = 8.0  # standard deviation in pixels of the mean behind a thin defect
CUT = 6.0  # pixels over which a defect fades that the patch's border cuts off, and at most …
CUT_SHARE = 0.25  # … this share of how far it reaches into the patch
GAINS = (0.25, 4.0)  # of tone
CONTRASTS = (0.7, 1.4)  # by how much a louder host strengthens a defect: grain tells little of a defect's contrast
LEAST_VISIBLE = 0.5  # gray levels that count as grain at least: rounding hides smaller ones
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class Stamp:
    """How a footprint joins a host, wherever it lies.

    Attributes:
        blend: `FEATHER` or `POISSON`.
        mask: (H, W), the defect as far as it is shown.
        alpha: (H, W, 1) float32, 1 in the mask, 0 outside its collar.
        surroundings: (H, W), where the patch shows its surface; may be empty.
        bare: (H, W), where there is neither defect nor collar.
        near: (H, W), the mask and what is around it.
    """

    blend: Blend
    mask: Mask
    alpha: Values
    surroundings: Mask
    bare: Mask
    near: Mask


def stamp(foot: Footprint, blend: Blend) -> Stamp:
    """Chooses the blend, unless it is given, and shapes the border."""
    if blend is Blend.AUTO:
        radius = ndimage.distance_transform_edt(np.pad(foot.mask, 1)).max()
        blend = Blend.POISSON if radius >= BROAD else Blend.FEATHER
    collar = COLLARS[blend]
    distance = ndimage.distance_transform_edt(~foot.mask)
    alpha = 0.5 + 0.5 * np.cos(np.pi * np.minimum(distance / (collar + 1), 1))
    cut = min(CUT, CUT_SHARE * float(foot.inside[foot.mask].max()))
    rising = np.clip(foot.inside / (cut + 1), 0, 1)
    alpha = alpha * rising * rising * (3 - 2 * rising)
    shown = foot.mask & (alpha >= 0.5)
    return Stamp(
        blend=blend,
        mask=shown if shown.any() else foot.mask,
        alpha=alpha.astype(np.float32)[:, :, None],
        surroundings=(distance > collar) & (distance <= SURROUNDINGS) & foot.real,
        bare=distance > collar,
        near=distance <= SURROUNDINGS,
    )


def blended(foot: Footprint, how: Stamp, host: Values) -> Values:
    """The host's window with the defect on it: (H, W, C) float32, not rounded.

    Args:
        foot, how: the patch and how it joins.
        host: (H, W, C) gray levels of the host at the patch's place, 1 or 3 channels whatever the patch has.
    """
    patch = _channels(foot.values, host.shape[2])
    if how.surroundings.sum() < FEWEST:
        return host + how.alpha * (patch - host)
    deviations = DEVIATIONS[how.blend]
    behind = _behind(patch, foot, how)
    own = bands(host, deviations)
    own_grain = grain_of(own, how.near, deviations)
    difference = (patch - behind) * foot.real[:, :, None]
    surface = np.where(how.bare[:, :, None], difference, 0)
    grain = grain_of(bands(surface, deviations), how.surroundings, deviations)
    loudness, own_loudness = (sum(each.energy for each in of) + 1 for of in (grain, own_grain))
    contrast = np.clip(np.sqrt(own_loudness / loudness), *CONTRASTS)
    gain = _gain(difference, behind, own[-1], float(np.sqrt(loudness))) * np.float32(contrast)
    parts = bands(difference * gain, deviations)
    return host + how.alpha * joined(parts, grain, gain, own, own_grain, deviations)


def visibility(change: Values, host: Values, how: Stamp) -> float:
    """How far the change inside the mask stands out of the host's grain: the largest of all bands.

    Root mean square of the change in a band, as a multiple of that of the host's strongest grains.
    """
    deviations = DEVIATIONS[how.blend]
    grain = [each.peak for each in grain_of(bands(host, deviations), how.near, deviations)]
    changed = [float(np.square(band[how.mask]).mean()) for band in bands(change, deviations)]
    return max(
        float(np.sqrt(part / max(peak, LEAST_VISIBLE**2)))
        for part, peak in zip(changed, [*grain, grain[-1]], strict=True)
    )


def _behind(patch: Values, foot: Footprint, how: Stamp) -> Values:
    """What the patch would show without its defect."""
    known = how.bare & foot.real
    if how.blend is Blend.POISSON:
        return membrane(patch, known)
    return smooth_outside(patch, known, BACKGROUND)


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
