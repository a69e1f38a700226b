"""Differentiable augmentation of the discriminator's input, against memorising few photographs.

Zhao et al. 2020 (DiffAugment, arXiv:2006.10738): real and generated images pass through the same augmentation before
the discriminator, and the gradient passes back through it. Each operation is applied to a share of the images only, so
that the generator cannot mistake augmented images for photographs (Karras et al. 2020, ADA, arXiv:2006.06676, sec. 2).

There is no cut-out: it could erase the defect.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Probability of each symmetry that the image's type has. At one half, the discriminator could not tell in which
# proportion photographs and samples are flipped, and all samples may end up one way (ADA, appendix C).
SYMMETRY_PROBABILITY = 0.25


@dataclass(frozen=True)
class Strength:
    """How far images are changed.

    Attributes:
        probability: of a shift; independently, of a brightness change; independently, of a contrast change. An image
            that is not shifted still moves by one pixel or none along each axis: a discriminator that halves its
            feature maps should meet each pixel at every place of its grid.
        shift: the largest, as a share of the side, less than 1.
        brightness: the largest change, on values in [-1, 1].
        contrast: the largest difference of the factor from 1.
    """

    probability: float
    shift: float
    brightness: float
    contrast: float


@dataclass(frozen=True)
class Symmetries:
    """Which symmetries each defect type has: (types,) bool each, on the CPU."""

    horizontal_flip: Tensor
    vertical_flip: Tensor
    transposition: Tensor


@dataclass(frozen=True)
class AugmentationParameters:
    """What happens to each image of a batch.

    Attributes:
        rows, columns: (B, side) int64, the image's row or column that stands at each place.
        transposed: (B,) bool, whether rows and columns are exchanged first.
        mirrored: (B,) bool, whether either rows or columns are reversed; lines then slant the other way.
        brightness: (B,) float32, added.
        contrast: (B,) float32, factor of the distance from the image's mean.
    """

    rows: Tensor
    columns: Tensor
    transposed: Tensor
    mirrored: Tensor
    brightness: Tensor
    contrast: Tensor


def sample_augmentation(
    type_index: Tensor, side: int, strength: Strength, symmetries: Symmetries, random: torch.Generator
) -> AugmentationParameters:
    """Draws parameters for images of these types; always the same number of random values.

    Args:
        type_index: (B,) int64 on the CPU.
        side: of the images, in pixels.
        strength: how far images are changed.
        symmetries: which symmetries are used.
        random: on the CPU.
    """
    count = len(type_index)
    uniform = torch.rand(8, count, generator=random)
    places = 2 * torch.rand(4, count, generator=random) - 1
    shifted, brightened, contrasted = uniform[3:6] < strength.probability
    farthest = round(strength.shift * side)
    by_one = (uniform[6:] < 0.5).long() * min(1, farthest)
    far = ((farthest + 0.5) * places[:2]).round().clamp(-farthest, farthest).long()
    down, right = torch.where(shifted, far, by_one)
    upside_down = (uniform[0] < SYMMETRY_PROBABILITY) & symmetries.vertical_flip[type_index]
    reversed_ = (uniform[1] < SYMMETRY_PROBABILITY) & symmetries.horizontal_flip[type_index]
    return AugmentationParameters(
        rows=_places(side, upside_down, down),
        columns=_places(side, reversed_, right),
        mirrored=upside_down ^ reversed_,
        transposed=(uniform[2] < SYMMETRY_PROBABILITY) & symmetries.transposition[type_index],
        brightness=strength.brightness * places[2] * brightened,
        contrast=1 + strength.contrast * places[3] * contrasted,
    )


def augment(images: Tensor, parameters: AugmentationParameters, photometric: int | None = None) -> Tensor:
    """Augments images; a shift fills the border with the image's reflection.

    Rows and columns are permuted by products with matrices of zeros and ones: exact, deterministic (indexing would add
    gradients up in no fixed order on a GPU), and differentiable any number of times.

    Args:
        images: (n B, C, side, side): n blocks of B images, each block in the order of the parameters. Photographs
            followed by their generated partners are thus augmented alike.
        parameters: of B images, on the same device.
        photometric: how many of the channels, from the first on, change in brightness and contrast; None: all. Masks
            behind an image only move with it.

    Returns:
        (n B, C, side, side) of the same dtype.
    """
    times = len(images) // len(parameters.rows)
    transposed, brightness, contrast = (
        each.repeat(times)[:, None, None, None]
        for each in (parameters.transposed, parameters.brightness, parameters.contrast)
    )
    rows, columns = (
        _selection(each, images).repeat(times, 1, 1)[:, None] for each in (parameters.rows, parameters.columns)
    )
    images = torch.where(transposed, images.transpose(2, 3), images)
    images = rows @ images @ columns.transpose(2, 3)
    unchanged = [] if photometric is None else [images[:, photometric:]]
    images = images[:, :photometric]
    mean = images.mean((1, 2, 3), keepdim=True)
    changed = mean + (images - mean) * contrast + brightness
    return torch.cat([changed, *unchanged], 1) if unchanged else changed


def _places(side: int, flipped: Tensor, shift: Tensor) -> Tensor:
    """(B,) bool, (B,) int64 -> (B, side) int64: which row stands at each row's place."""
    place = torch.arange(side) - shift[:, None]
    reflected = (side - 1) - ((side - 1) - place.abs()).abs()
    return torch.where(flipped[:, None], (side - 1) - reflected, reflected)


def _selection(places: Tensor, images: Tensor) -> Tensor:
    """(B, side) -> (B, side, side) selection matrices: a single one in each row."""
    side = torch.arange(places.shape[1], device=images.device)
    return (places[:, :, None] == side).to(images.dtype)
