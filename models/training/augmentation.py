"""Differentiable augmentation of what the discriminator sees, so that few photographs do not get learnt by heart.

Zhao et al. 2020 (DiffAugment, arXiv:2006.10738): real and generated images alike pass through the augmentation before
the discriminator, and the gradient passes back through it. Each is applied to a part of the images only, so that the
generator cannot mistake the augmented ones for the photographs (Karras et al. 2020, ADA, arXiv:2006.06676, section 2).

There is no cut-out: what it erases may be the defect.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Of the images whose type allows it, for each turn. With half of them the discriminator could not tell in which
# proportion photographs and samples lie either way, and samples may all come to lie one way (ADA, appendix C).
SYMMETRY_PROBABILITY = 0.25


@dataclass(frozen=True)
class Strength:
    """How far images are changed.

    Attributes:
        probability: of the images that are shifted; independently, brightened; independently, contrasted. The others
            are shifted, too, by one pixel or none: a discriminator that halves its feature maps is to meet each pixel
            in each place of its grid.
        shift: farthest, as a share of the side, less than 1.
        brightness: farthest, on values in [-1, 1].
        contrast: farthest of the factor from 1.
    """

    probability: float
    shift: float
    brightness: float
    contrast: float


@dataclass(frozen=True)
class Symmetries:
    """Under which turns photographs of each type stay photographs of the type: (types,) bool each, on the CPU."""

    horizontal_flip: Tensor
    vertical_flip: Tensor
    transposition: Tensor


@dataclass(frozen=True)
class AugmentationParameters:
    """What happens to each image of a batch.

    Attributes:
        rows, columns: (B, side) int64, which of the image's rows and columns stands in each place.
        transposed: (B,) bool, whether rows and columns change places before.
        brightness: (B,) float32, added.
        contrast: (B,) float32, factor of the distance from the image's mean.
    """

    rows: Tensor
    columns: Tensor
    transposed: Tensor
    brightness: Tensor
    contrast: Tensor


def sample_augmentation(
    type_index: Tensor, side: int, strength: Strength, symmetries: Symmetries, random: torch.Generator
) -> AugmentationParameters:
    """Draws for images of these types; as many numbers for any strength and any symmetries.

    Args:
        type_index: (B,) int64 on the CPU.
        side: of the images, in pixels.
        strength: how far to go.
        symmetries: which turns are allowed.
        random: on the CPU.
    """
    count = len(type_index)
    coins = torch.rand(8, count, generator=random)
    places = 2 * torch.rand(4, count, generator=random) - 1
    shifted, brightened, contrasted = coins[3:6] < strength.probability
    farthest = round(strength.shift * side)
    by_one = (coins[6:] < 0.5).long() * min(1, farthest)
    far = ((farthest + 0.5) * places[:2]).round().clamp(-farthest, farthest).long()
    down, right = torch.where(shifted, far, by_one)
    return AugmentationParameters(
        rows=_places(side, (coins[0] < SYMMETRY_PROBABILITY) & symmetries.vertical_flip[type_index], down),
        columns=_places(side, (coins[1] < SYMMETRY_PROBABILITY) & symmetries.horizontal_flip[type_index], right),
        transposed=(coins[2] < SYMMETRY_PROBABILITY) & symmetries.transposition[type_index],
        brightness=strength.brightness * places[2] * brightened,
        contrast=1 + strength.contrast * places[3] * contrasted,
    )


def augment(images: Tensor, drawn: AugmentationParameters) -> Tensor:
    """Images as drawn; what is shifted in from outside is the image's reflection.

    Rows and columns are picked by products with matrices of zeros and ones: exact, the same on every run (indexing adds
    gradients up in no fixed order on a GPU), and differentiable as often as wanted.

    Args:
        images: (n B, C, side, side): n images for each place of the sample_augmentation, the first B of them in its order, then the
            next B. So the photographs and their generated partners, one after the other, are treated alike.
        drawn: of B images, on the same device.

    Returns:
        (n B, C, side, side) of the same dtype.
    """
    times = len(images) // len(drawn.rows)
    transposed, brightness, contrast = (
        each.repeat(times)[:, None, None, None] for each in (drawn.transposed, drawn.brightness, drawn.contrast)
    )
    rows, columns = (_picking(each, images).repeat(times, 1, 1)[:, None] for each in (drawn.rows, drawn.columns))
    images = torch.where(transposed, images.transpose(2, 3), images)
    images = rows @ images @ columns.transpose(2, 3)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * contrast + brightness


def _places(side: int, flipped: Tensor, shift: Tensor) -> Tensor:
    """(B,) bool, (B,) int64 -> (B, side) int64: which row stands in each row's place."""
    place = torch.arange(side) - shift[:, None]
    reflected = (side - 1) - ((side - 1) - place.abs()).abs()
    return torch.where(flipped[:, None], (side - 1) - reflected, reflected)


def _picking(places: Tensor, images: Tensor) -> Tensor:
    """(B, side) -> (B, side, side) of zeros and, in each row, a one."""
    side = torch.arange(places.shape[1], device=images.device)
    return (places[:, :, None] == side).to(images.dtype)
