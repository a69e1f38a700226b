"""Whether images have the photographs' colors: their tint, and whether it is one over the picture."""

import torch
from torch import Tensor

from flawsmith.models.quality.colors import Tint
from flawsmith.models.quality.controls import COLORED
from flawsmith.models.quality.random_features import BATCH, Features
from flawsmith.models.quality.space import Lesson, Space, at_once
from flawsmith.models.quality.wiping import blurred

BROAD = 1 / 16  # standard deviation of the mean in which blotches are looked for, as a share of the side
UPPER = 0.01  # share of the pixels that are farthest from the usual tint


class ColorFeatures:
    """What pixels have beyond the usual tint of the photographs: its mean, its spread, that of blotches, the farthest.

    In units of what photographs have, but of no less than an eye sees: photographs that a program tinted must not make
    a measure of what nobody would see.

    Args:
        reference: (M, 3, side, side) uint8, the photographs that define tint and scale.

    Calling it with (N, 3, side, side) uint8 gives (N, 9) float32.
    """

    def __init__(self, reference: Tensor) -> None:
        self._tint = Tint(reference)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.cat([self._of(each) for each in images.split(BATCH)])

    def _of(self, images: Tensor) -> Tensor:
        beyond = self._tint.beyond(images)
        broad = blurred(beyond, max(1.0, BROAD * images.shape[-1]))
        far = beyond.norm(dim=1).flatten(1)
        farthest = far.topk(max(1, round(UPPER * far.shape[1])), dim=1).values
        spreads = [torch.log1p(each.flatten(2).std(2)) for each in (beyond, broad)]
        sizes = [torch.log1p(each.mean(1, keepdim=True)) for each in (far, farthest)]
        saturation = torch.log1p(beyond.mean((2, 3)).norm(dim=1, keepdim=True))
        return torch.cat([beyond.mean((2, 3)), *spreads, *sizes, saturation], 1)


def _prepare(lesson: Lesson) -> Features:
    return ColorFeatures(lesson.images)


SPACES = (
    Space(
        name="colors",
        meaning="what pixels of photographs in color have beyond the tint that is usual at their brightness",
        claims=tuple(COLORED),
        prepare=at_once(_prepare),
    ),
)
