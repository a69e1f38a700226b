"""The U-Net that `benchmarks.segmentation` trains on squares of whole photographs, and how well it does.

Every arm takes the same number of steps, and in each as many squares with a defect as clean ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.segmentation_sets import Mask, Photograph, Pixels
from flawsmith.models.labels.masks import SURE
from flawsmith.models.labels.segmenter import LARGEST_GAIN, LARGEST_SHIFT, MOST_NOISE
from flawsmith.models.labels.training import descend, label_loss, seeded
from flawsmith.models.pixels import from_bytes
from flawsmith.models.quality.steps import result_of

SIDE, CUT = 64, 96  # of a square that is learned from, and of the one that is turned and scaled to it
SQUARES = 4  # with a defect in a batch, and as many clean ones
STEPS = 600
LEARNING_RATE = 5e-3
NEAR = 20  # pixels from a square's middle at most where some pixel of the defect lies, in each direction
MOST_TURNED, MOST_SCALED = 10.0, 1.15  # degrees; factor
WIDTHS = (16, 32, 64)  # channels at half of the photograph's resolution, at a quarter of it, …
MULTIPLE = 8  # of which a picture's sides are, for the network
LEVELS = 4096  # probabilities are rounded to, for the ranking of pixels


@dataclass(frozen=True)
class PixelScores:
    """0 … 1 each, over all pixels of all photographs tested on.

    Attributes:
        average_precision: the mean of the precision over all recalls, as pixels are ranked by their probability.
        iou: intersection over union of the pixels that are more likely a defect than not.
    """

    average_precision: float
    iou: float


class UNet(nn.Module):
    """Gray photographs to one logit for each pixel (Ronneberger et al. 2015, arXiv:1505.04597).

    It works at half of the resolution, and its last layer gives four pixels each (Shi et al. 2016, arXiv:1609.05158).
    With batch normalisation: what group normalisation does to a whole photograph differs from what it does to a square.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(_block(*each) for each in pairwise((4, *WIDTHS)))
        self.up = nn.ModuleList(_block(coarse + fine, fine) for fine, coarse in pairwise(WIDTHS))
        self.last = nn.Conv2d(WIDTHS[0], 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) from -1 to 1, sides multiples of `MULTIPLE` -> logits, (B, H, W)."""
        kept = list[Tensor]()
        features = F.pixel_unshuffle(images, 2)
        for number, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if number else features)
            kept.append(features)
        for block, fine in zip(reversed(self.up), kept[-2::-1], strict=True):
            features = block(torch.cat([F.interpolate(features, scale_factor=2.0), fine], 1))
        return F.pixel_shuffle(self.last(features), 2).squeeze(1)


def trained(
    real: Sequence[Photograph],
    clean: Sequence[Photograph],
    made: Sequence[Photograph],
    *,
    augmented: bool,
    seed: int,
    steps: int = STEPS,
) -> UNet:
    """A network that learned from photographs with defects, clean ones, and made ones, if there are any.

    With made ones, half of the squares with a defect are theirs. The same arguments give the same network.

    Args:
        augmented: whether squares are mirrored, turned, scaled, relit and get noise.
    """
    network, places = seeded(seed, UNet), np.random.default_rng([seed, 11])
    sources = [real, made] if made else [real]

    def batch(random: torch.Generator) -> Tensor:
        cuts = [_around_defect(_one(sources[each % len(sources)], places), places) for each in range(SQUARES)]
        cuts += [_anywhere(_one(clean, places), places) for _ in range(SQUARES)]
        images = from_bytes(torch.from_numpy(np.stack([pixels for pixels, _ in cuts])))[:, None]
        masks = torch.from_numpy(np.stack([mask for _, mask in cuts])).float()[:, None]
        if augmented:
            images, masks = _augmented(images, masks, random)
        else:
            inner = slice((CUT - SIDE) // 2, (CUT + SIDE) // 2)
            images, masks = images[..., inner, inner], masks[..., inner, inner]
        return label_loss(network(images), masks[:, 0])

    result_of(descend(network, batch, steps, LEARNING_RATE, seed))
    return network.eval().requires_grad_(False)


def scores_of(network: UNet, photographs: Sequence[Photograph]) -> PixelScores:
    """How well a network finds the marked pixels of whole photographs."""
    marked, free = np.zeros(LEVELS, np.int64), np.zeros(LEVELS, np.int64)
    both = either = 0
    for each in photographs:
        found = probabilities(network, each.pixels)
        both += int((each.mask & (found >= SURE)).sum())
        either += int((each.mask | (found >= SURE)).sum())
        levels = np.minimum((found * LEVELS).astype(np.int64), LEVELS - 1)
        marked += np.bincount(levels[each.mask], minlength=LEVELS)
        free += np.bincount(levels[~each.mask], minlength=LEVELS)
    return PixelScores(average_precision(marked, free), both / max(1, either))


@torch.no_grad()
def probabilities(network: UNet, pixels: Pixels) -> NDArray[np.float32]:
    """For each pixel of a photograph, how likely it shows a defect: (H, W), 0 … 1."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % MULTIPLE), (0, -width % MULTIPLE)), mode="symmetric")
    found: NDArray[np.float32] = network(from_bytes(torch.from_numpy(padded))[None, None])[0].sigmoid().numpy()
    return found[:height, :width]


def average_precision(marked: NDArray[np.int64], free: NDArray[np.int64]) -> float:
    """Of pixels at each level from the least likely to the likeliest: how many are marked, and how many are not."""
    hits, misses = marked[::-1].cumsum(), free[::-1].cumsum()
    if not hits[-1]:
        return 0.0
    precision = hits / np.maximum(1, hits + misses)
    return float((precision * marked[::-1]).sum() / hits[-1])


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for each in (inputs, outputs):
        layers += [nn.Conv2d(each, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def _one(photographs: Sequence[Photograph], random: np.random.Generator) -> Photograph:
    return photographs[int(random.integers(len(photographs)))]


def _around_defect(photograph: Photograph, random: np.random.Generator) -> tuple[Pixels, Mask]:
    rows, columns = np.nonzero(photograph.mask)
    at = int(random.integers(len(rows)))
    away = random.integers(-NEAR, NEAR + 1, 2)
    return _cut(photograph, int(rows[at] + away[0]) - CUT // 2, int(columns[at] + away[1]) - CUT // 2)


def _anywhere(photograph: Photograph, random: np.random.Generator) -> tuple[Pixels, Mask]:
    height, width = photograph.pixels.shape
    return _cut(photograph, int(random.integers(height - CUT + 1)), int(random.integers(width - CUT + 1)))


def _cut(photograph: Photograph, top: int, left: int) -> tuple[Pixels, Mask]:
    height, width = photograph.pixels.shape
    top, left = min(max(0, top), height - CUT), min(max(0, left), width - CUT)
    window = slice(top, top + CUT), slice(left, left + CUT)
    return photograph.pixels[window], photograph.mask[window]


def _augmented(images: Tensor, masks: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """(B, 1, CUT, CUT) each -> (B, 1, SIDE, SIDE); only images are relit and get noise."""
    count = len(images)
    turned, scaled, gain, shift, noise = (2 * torch.rand(5, count, generator=random) - 1).unbind()
    mirrors = torch.where(torch.rand(2, count, generator=random) < 0.5, -1.0, 1.0)
    angle, factor = torch.deg2rad(MOST_TURNED * turned), SIDE / CUT * torch.exp(math.log(MOST_SCALED) * scaled)
    across = torch.stack([angle.cos() * mirrors[0], -angle.sin(), torch.zeros(count)], 1)
    down = torch.stack([angle.sin() * mirrors[0], angle.cos() * mirrors[1], torch.zeros(count)], 1)
    across[:, 1] *= mirrors[1]
    theta = torch.stack([across, down], 1) * factor[:, None, None]
    places = F.affine_grid(theta, [count, 1, SIDE, SIDE], align_corners=False)
    pixels, marks = (
        F.grid_sample(each, places, padding_mode="reflection", align_corners=False) for each in (images, masks)
    )
    gain, shift, noise = (each[:, None, None, None] for each in (gain, shift, noise))
    pixels = pixels * (1 + LARGEST_GAIN * gain) + LARGEST_SHIFT * shift
    grain = torch.randn(pixels.shape, generator=random)
    return (pixels + MOST_NOISE * (noise + 1) / 2 * grain).clamp(-1, 1), (marks >= SURE).float()
