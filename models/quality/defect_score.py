"""Whether an image shows a defect at all: learned from the photographs and from the same ones without their defects."""

import torch
from torch import Tensor

from flawsmith.models.quality.controls import NOISY, REMOVED, SHIFTED, SMOOTHED
from flawsmith.models.quality.random_features import Features
from flawsmith.models.quality.space import Lesson

WITH = ("blurred 1 px", NOISY, SHIFTED)  # still show the defect
WITHOUT = (REMOVED, SMOOTHED)
SHRINKAGE = 0.1  # of the features' mean variance, added to each


class DefectScore:
    """A linear discriminant between images with and without a defect, in given features.

    Args:
        lesson: photographs and their controls.
        features: maps (N, C, side, side) uint8 to (N, D) float32.

    Calling it with (N, C, side, side) uint8 gives (N,) float32: above 0 the image shows a defect.
    """

    def __init__(self, lesson: Lesson, features: Features) -> None:
        self._features = features
        shown, wiped = features(lesson.images), features(lesson.controls[REMOVED])
        present = torch.cat([shown, *(features(lesson.controls[name]) for name in WITH if name in lesson.controls)])
        absent = torch.cat(
            [wiped, *(features(lesson.controls[name]) for name in WITHOUT[1:] if name in lesson.controls)]
        )
        within = (torch.cov(present.T) + torch.cov(absent.T)) / 2
        within = within + SHRINKAGE * within.diagonal().mean() * torch.eye(len(within))
        self._direction = torch.linalg.solve(within, present.mean(0) - absent.mean(0))
        self._middle = (shown @ self._direction).mean() / 2 + (wiped @ self._direction).mean() / 2

    def __call__(self, images: Tensor) -> Tensor:
        return self.of(self._features(images))

    def of(self, features: Tensor) -> Tensor:
        """The score of (N, D) features."""
        score: Tensor = torch.mv(features, self._direction) - self._middle
        return score
