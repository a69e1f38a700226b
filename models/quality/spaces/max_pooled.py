"""Random features pooled by maximum, upper quantile and mean at three scales: a thin bright line moves its maximum."""

import torch
from torch import Tensor

from flawsmith.models.quality.controls import NOISY, REMOVED, SMOOTHED, STATIC
from flawsmith.models.quality.random_features import BATCH, Features, random_responses, weighted
from flawsmith.models.quality.space import Lesson, Space, at_once

UPPER = 0.005  # share of the pixels whose mean is the upper quantile's feature


class MaxPooledFeatures:
    """Maximum, mean of the upper half percent, and mean of every random filter's response.

    Args:
        reference: (M, C, side, side) uint8, the photographs that define the scale.
        seed: of the filters.

    Calling it with (N, C, side, side) uint8, side at least 32, gives (N, 336) float32.
    """

    def __init__(self, reference: Tensor, seed: int = 0) -> None:
        self._respond = random_responses(reference.shape[1], seed)
        self._reference = self._pooled(reference)

    def __call__(self, images: Tensor) -> Tensor:
        return weighted(self._pooled(images), self._reference)

    def _pooled(self, images: Tensor) -> Tensor:
        return torch.cat([self._of(each) for each in images.split(BATCH)])

    def _of(self, images: Tensor) -> Tensor:
        found = []
        for each in self._respond(images):
            pixels = each.flatten(2)
            highest = pixels.topk(max(1, round(UPPER * pixels.shape[2])), dim=2).values
            found += [highest[:, :, 0], highest.mean(2), pixels.mean(2)]
        return torch.cat(found, 1)


def _prepare(lesson: Lesson) -> Features:
    return MaxPooledFeatures(lesson.images)


SPACES = (
    Space(
        name="max_pooled",
        meaning="random convolutions at three scales, pooled by maximum, upper half percent and mean",
        claims=(REMOVED, SMOOTHED, "blurred 2 px", "blurred 4 px", NOISY, STATIC),
        prepare=at_once(_prepare),
    ),
)
