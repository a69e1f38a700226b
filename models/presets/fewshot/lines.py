"""Noise that is constant along straight lines of any direction, and means along level and upright lines."""

import math

import torch
from torch import Tensor

from flawsmith.models.presets.fewshot.directions import VECTOR

FROM = math.pi / 4
FAINT = 0.1  # strength of a direction at which half of the means along lines is used


def line_noise(noise: Tensor, directions: Tensor) -> Tensor:
    """Noise that is constant along each image's direction.

    A pixel takes the value at its distance from the line through the image's middle, interpolated linearly between two
    values and scaled so that its variance is the same everywhere. A level image takes a value a row, an upright one a
    value a column. The corners of slanted images lie beyond the values' range, which repeats.

    Args:
        noise: (B, side) float32, standard normal.
        directions: (B, 2 + K) float32, see `directions`.

    Returns:
        (B, 1, side, side) float32, standard normal.
    """
    side = noise.shape[1]
    angle = torch.atan2(directions[:, 1], directions[:, 0])[:, None, None] / 2
    angle = (angle + FROM) % math.pi - FROM  # the values' order reverses at 135 degrees, far from level and upright
    offset = torch.arange(side, dtype=noise.dtype, device=noise.device) - (side - 1) / 2
    distance = offset[:, None] * angle.cos() + offset * angle.sin()
    place = (distance + (side - 1) / 2).flatten(1)
    lower = place.floor()
    share = place - lower
    first = lower.long() % side
    second = (first + 1) % side
    values = (1 - share) * noise.gather(1, first) + share * noise.gather(1, second)
    return (values / ((1 - share).square() + share.square()).sqrt()).view(-1, 1, side, side)


def level_and_upright(directions: Tensor) -> tuple[Tensor, Tensor]:
    """How level and how upright each direction is, 0 ... 1, (B, 1, 1, 1) each; one of the two is always zero."""
    strength = directions[:, :VECTOR].norm(dim=1) + FAINT
    levelness = (directions[:, 0] / strength)[:, None, None, None]
    return levelness.clamp_min(0), (-levelness).clamp_min(0)


def weighted_noise(strengths: Tensor, noise: Tensor) -> Tensor:
    """The sum of several noise pictures, each with a strength for every channel, in one product.

    Args:
        strengths: (B, K, width).
        noise: (B, K, H, W).

    Returns:
        (B, width, H, W), channels last.
    """
    height, width = noise.shape[2:]
    weighted: Tensor = (noise.flatten(2).transpose(1, 2) @ strengths).unflatten(1, (height, width))
    return weighted.permute(0, 3, 1, 2)
