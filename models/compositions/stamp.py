"""How a patch joins its host, wherever it lies: the blend, the collar and where its border fades."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flawsmith.models.compositions.footprint import Footprint, Values
from flawsmith.models.compositions.membrane import smooth_outside
from flawsmith.models.compositions.parts import Blend, Mask

BROAD = 8.0  # radius in pixels of the largest disc in a mask, from which on it is blended by its membrane
COLLARS = {Blend.FEATHER: 3, Blend.POISSON: 8}  # pixels of surface around the mask that are taken along, at least …
WIDEST = 16  # … and at most, where a halo surrounds the defect
HALO = 1.25  # times the surface's unevenness, up to which no halo is left
SMOOTHING = 1.0  # standard deviation in pixels of the mean in which a halo is looked for
ROUNDING = 0.3  # gray levels of unevenness that any surface has
SURFACE = 12  # pixels beyond the collar that show the patch's surface
BACKGROUND = 8.0  # standard deviation in pixels of the mean behind a thin defect
FEWEST = 50  # pixels of surface; with fewer the patch is all defect
CUT = 6.0  # pixels over which a defect fades that the patch's border cuts off, and at most …
CUT_SHARE = 0.25  # … this share of how far it reaches into the patch
BESIDE = 3.0  # pixels over which a collar fades towards another defect


@dataclass(frozen=True)
class Stamp:
    """How a footprint joins a host.

    Attributes:
        blend: `FEATHER` or `POISSON`.
        mask: (H, W), the defect as far as it is shown.
        alpha: (H, W, 1) float32, 1 in the mask, 0 outside its collar.
        surface: (H, W), where the patch shows its surface; empty where the patch is all defect.
        bare: (H, W), where there is neither defect nor collar.
        near: (H, W), the mask, its collar and the surface around it.
    """

    blend: Blend
    mask: Mask
    alpha: Values
    surface: Mask
    bare: Mask
    near: Mask


def stamp(foot: Footprint, blend: Blend) -> Stamp:
    """Chooses the blend, unless it is given, and shapes the border."""
    if blend is Blend.AUTO:
        radius = ndimage.distance_transform_edt(np.pad(foot.mask, 1)).max()
        blend = Blend.POISSON if radius >= BROAD else Blend.FEATHER
    distance = ndimage.distance_transform_edt(~foot.mask)
    collar = _collar(foot, distance, COLLARS[blend])
    alpha = 0.5 + 0.5 * np.cos(np.pi * np.minimum(distance / (collar + 1), 1))
    reach = foot.to_border[foot.mask]  # 1 where the border cuts the defect off
    fading = float(reach.min()) - 1 if reach.min() > 1 else CUT_SHARE * float(reach.max())
    rising = np.clip(foot.to_border / (min(CUT, fading) + 1), 0, 1)
    alpha = alpha * rising * rising * (3 - 2 * rising)
    if not foot.real.all():  # a collar ends before another defect
        alpha = np.where(foot.mask, alpha, alpha * np.clip(ndimage.distance_transform_edt(foot.real) / BESIDE, 0, 1))
    shown = foot.mask & (alpha >= 0.5)
    surface = (distance > collar) & (distance <= collar + SURFACE) & foot.real
    return Stamp(
        blend=blend,
        mask=shown if shown.any() else foot.mask,
        alpha=alpha.astype(np.float32)[:, :, None],
        surface=surface & (surface.sum() >= FEWEST),
        bare=distance > collar,
        near=distance <= collar + SURFACE,
    )


def _collar(foot: Footprint, distance: NDArray[np.float64], least: int) -> int:
    """Pixels from the mask at which its halo has gone down to the unevenness of the surface."""
    far = (distance > WIDEST) & foot.real
    if far.sum() < FEWEST:
        return least
    smooth = ndimage.gaussian_filter(foot.values, (SMOOTHING, SMOOTHING, 0), mode="nearest")
    squares = np.square(smooth - smooth_outside(foot.values, far, BACKGROUND)).mean(2)
    usual = HALO * (float(np.sqrt(squares[far].mean())) + ROUNDING)
    for reach in range(least, WIDEST):
        ring = (distance > reach) & (distance <= reach + 1) & foot.real
        if not ring.any() or np.sqrt(squares[ring].mean()) <= usual:
            return reach
    return WIDEST
