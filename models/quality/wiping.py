"""Photographs with the defect wiped out: the control that a measure must see to know what a defect is."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

MEDIAN = 9 / 64  # of a side: the width of the median filter, which wipes out what is narrower than half of it
OUTSTANDING = 3.0  # robust standard deviations from the surroundings, from which on a pixel counts as defect
LARGEST = 0.3  # share of an image's pixels that may count as defect before the margin
MARGIN = 2  # pixels around a defect that are filled as well
SCALES = (2, 4, 8, 16, 32)  # standard deviations of the surroundings that a defect is filled from, in pixels
ENOUGH = 0.1  # share of the surroundings that must be outside the defect
SHIFTS = 12  # tries to borrow grain from elsewhere in the image
BATCH = 16


def median_filtered(images: Tensor, share: float = MEDIAN) -> Tensor:
    """Images after a median filter: (N, C, side, side) uint8.

    Args:
        images: (N, C, side, side) uint8.
        share: width of the filter as a share of the side; at least 3 pixels.
    """
    return torch.cat([_median(each, share) for each in images.float().split(BATCH)]).round().byte()


def defect_masks(images: Tensor) -> Tensor:
    """Guesses the pixels that show a defect, for photographs without masks: (N, side, side) bool.

    A pixel counts where the brightness, a little smoothed, stands out from its surroundings or from the whole image by
    `OUTSTANDING` robust standard deviations. Of each image at most `LARGEST` counts.
    """
    gray = images.float().mean(1, keepdim=True)
    smooth = blurred(gray, 1.0)
    half = F.avg_pool2d(gray, 2)
    surroundings = torch.cat([_median(each, 2 * MEDIAN) for each in half.split(BATCH)])
    surroundings = F.interpolate(surroundings, size=gray.shape[-2:], mode="bilinear", align_corners=False)
    level = gray.flatten(1).median(1).values[:, None, None, None]
    anomaly = torch.stack([_robust_deviation(smooth - each) for each in (surroundings, level)]).amax(0)
    least = anomaly.flatten(1).quantile(1 - LARGEST, dim=1)[:, None, None]
    return anomaly[:, 0] > least.clamp_min(OUTSTANDING)


def filled(images: Tensor, masks: Tensor, seed: int) -> Tensor:
    """Images whose masked pixels show what is around them, grain included: (N, C, side, side) uint8.

    The brightness comes from the nearest pixels outside the mask; the grain is borrowed from elsewhere in the image.

    Args:
        images: (N, C, side, side) uint8.
        masks: (N, side, side) bool.
        seed: decides where grain is borrowed from.
    """
    values = images.float()
    hidden = F.max_pool2d(masks[:, None].float(), 2 * MARGIN + 1, 1, MARGIN)
    seen = 1 - hidden
    ground = _surroundings(values, seen)
    residual = (values - ground) * seen
    random = torch.Generator().manual_seed(seed)
    side = images.shape[-1]
    grain, lacking = torch.zeros_like(values), hidden.clone()
    for _ in range(SHIFTS):
        shift = [int(each) for each in torch.randint(side // 8, side - side // 8, (2,), generator=random)]
        borrowed, usable = (torch.roll(each, shift, (2, 3)) for each in (residual, seen))
        grain += borrowed * lacking * usable
        lacking = lacking * (1 - usable)
    return torch.where(hidden > 0, ground + grain, values).round().clamp(0, 255).byte()


def masks_of(images: Tensor, known: Sequence[Tensor | None]) -> Tensor:
    """The known masks, and guesses for the other images: (N, side, side) bool."""
    masks = defect_masks(images)
    for index, mask in enumerate(known):
        if mask is not None and mask.any():
            masks[index] = mask
    return masks


def blurred(values: Tensor, deviation: float) -> Tensor:
    """Gaussian blur of (N, C, H, W) float with this standard deviation in pixels; edges are replicated."""
    reach = min(int(3 * deviation + 0.5), values.shape[-1] - 1)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    weights = weights / weights.sum()
    channels = values.shape[1]
    kernel = weights.repeat(channels, 1, 1, 1)
    rows = F.conv2d(F.pad(values, (reach, reach, 0, 0), "replicate"), kernel, groups=channels)
    columns = kernel.transpose(2, 3)
    return F.conv2d(F.pad(rows, (0, 0, reach, reach), "replicate"), columns, groups=channels)


def _median(values: Tensor, share: float) -> Tensor:
    """Of (N, C, H, W) float."""
    reach = max(1, round(share * values.shape[-1] / 2 - 0.5))
    width = 2 * reach + 1
    padded = F.pad(values, (reach,) * 4, "replicate")
    return padded.unfold(2, width, 1).unfold(3, width, 1).flatten(4).median(4).values


def _robust_deviation(differences: Tensor) -> Tensor:
    """How many robust standard deviations each pixel is from 0, of (N, 1, H, W)."""
    middle = differences.abs().flatten(1).median(1).values[:, None, None, None]
    return differences.abs() / (1.4826 * middle).clamp_min(1.0)


def _surroundings(values: Tensor, seen: Tensor) -> Tensor:
    """Weighted mean of the seen pixels around each pixel, as near as there are enough of them."""
    ground = torch.zeros_like(values)
    lacking = torch.ones_like(seen)
    for scale in SCALES:
        weight = blurred(seen, scale)
        usable = lacking * (weight > ENOUGH)
        ground += usable * blurred(values * seen, scale) / weight.clamp_min(1e-6)
        lacking = lacking * (1 - usable)
    return ground + lacking * values.mean((2, 3), keepdim=True)
