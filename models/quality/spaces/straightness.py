"""How straight the lines of an image are: does what follows a line come to the same line again?"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.quality.controls import WARPS
from flawsmith.models.quality.random_features import BATCH, Features, weighted
from flawsmith.models.quality.space import Lesson, Space, at_once
from flawsmith.models.quality.wiping import blurred

STEPS = (4.0, 8.0, 16.0)  # pixels along a line
SMOOTHING, INTEGRATION = 1.0, 1.5  # standard deviations of gradients and of the structure tensor, in pixels
LEAST_TURN = 1e-3  # of 1 less the cosine: smaller turns count as none


class StraightnessFeatures:
    """How much a line turns, and how much of it is left, at some distances along its own direction.

    From each pixel, a step leads in the direction of the structure tensor (Bigun and Granlund 1987) to another one.
    The turn is 1 less the mean cosine of twice the angle between their directions, as a logarithm. What is left is the
    tensor's length there, at most that of the beginning, as a share of it. Strong lines count most: pixels have the
    weight of their tensors' lengths.

    Args:
        reference: (M, C, side, side) uint8, the photographs that define the scale.

    Calling it with (N, C, side, side) uint8 gives (N, 6) float32.
    """

    def __init__(self, reference: Tensor) -> None:
        self._reference = _found(reference)

    def __call__(self, images: Tensor) -> Tensor:
        return weighted(_found(images), self._reference)


def _found(images: Tensor) -> Tensor:
    tensors = (_structure(each.float().mean(1, keepdim=True)) for each in images.split(BATCH))
    return torch.cat([torch.cat([_along(each, step) for step in STEPS], 1) for each in tensors])


def _structure(gray: Tensor) -> Tensor:
    """The part of the structure tensor that has a direction, of twice its angle: (N, 2, side, side)."""
    smooth = F.pad(blurred(gray, SMOOTHING), (1, 1, 1, 1), "replicate")
    across = smooth[:, :, 1:-1, 2:] - smooth[:, :, 1:-1, :-2]
    down = smooth[:, :, 2:, 1:-1] - smooth[:, :, :-2, 1:-1]
    return blurred(torch.cat([across.square() - down.square(), 2 * across * down], 1), INTEGRATION)


def _along(tensor: Tensor, step: float) -> Tensor:
    """Turn and rest after a step to either side: (N, 2)."""
    side = tensor.shape[-1]
    length = _length(tensor)
    angle = torch.atan2(tensor[:, 1], tensor[:, 0]) / 2 + math.pi / 2  # of the line, at right angles to the gradient
    direction = torch.stack([angle.cos(), angle.sin()], 3)
    places = torch.arange(side).float()
    here = torch.stack(torch.meshgrid(places, places, indexing="xy"), 2)
    agreeing, pairs, rest, whole = torch.zeros(4, len(tensor))
    for way in (step, -step):
        grid = (here + way * direction) * 2 / (side - 1) - 1
        inside = grid.abs().amax(3) <= 1
        there = F.grid_sample(tensor, grid, align_corners=True) * inside[:, None]
        left = _length(there)
        agreeing = agreeing + (tensor * there).sum((1, 2, 3))
        pairs = pairs + (length * left).sum((1, 2))
        rest = rest + (length * torch.minimum(length, left)).sum((1, 2))
        whole = whole + (length.square() * inside).sum((1, 2))
    turn = 1 - agreeing / pairs.clamp_min(1e-6)
    return torch.stack([turn.clamp_min(LEAST_TURN).log(), rest / whole.clamp_min(1e-6)], 1)


def _length(tensor: Tensor) -> Tensor:
    return torch.hypot(tensor[:, 0], tensor[:, 1])


def _prepare(lesson: Lesson) -> Features:
    return StraightnessFeatures(lesson.images)


SPACES = (
    Space(
        name="straightness",
        meaning="how much lines turn, and how much of them is left, some pixels along their own direction",
        claims=tuple(name for name, pixels in WARPS.items() if pixels >= 1),
        prepare=at_once(_prepare),
        paper="Bigun and Granlund 1987, structure tensor",
    ),
)
