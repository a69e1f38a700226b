"""Whether an image shows a defect at all: learned from the photographs and from the same ones without their defects."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flawsmith.models.quality.controls import NOISY, REMOVED, SHIFTED, SMOOTHED
from flawsmith.models.quality.random_features import Features
from flawsmith.models.quality.space import Lesson

WITH = ("blurred 1 px", NOISY, SHIFTED)  # controls that still show the defect
WITHOUT = (REMOVED, SMOOTHED)
SHRINKAGE = 0.1  # of the features' mean variance, added to each


class DefectScore:
    """A linear discriminant between images with and without a defect, in the features of some space.

    Args:
        photographs: (N, D) features.
        removed: (N, D), of the same without their defects; half way between the two is 0.
        present: more features of images with a defect, (…, D) each.
        absent: more of images without.

    Calling it with (M, D) features gives (M,) float32: above 0 the image shows a defect.
    """

    def __init__(
        self, photographs: Tensor, removed: Tensor, present: Sequence[Tensor], absent: Sequence[Tensor]
    ) -> None:
        with_defect, without = torch.cat(list(present)), torch.cat(list(absent))
        within = (torch.cov(with_defect.T) + torch.cov(without.T)) / 2
        within = within + SHRINKAGE * within.diagonal().mean() * torch.eye(len(within))
        self._direction = torch.linalg.solve(within, with_defect.mean(0) - without.mean(0))
        self._middle = (photographs.mean(0) + removed.mean(0)) @ self._direction / 2

    def __call__(self, features: Tensor) -> Tensor:
        score: Tensor = torch.mv(features, self._direction) - self._middle
        return score


def score_of(lesson: Lesson, features: Features) -> DefectScore:
    """The score that a lesson teaches in a space."""
    photographs, controls = features(lesson.images), {name: features(lesson.controls[name]) for name in WITH + WITHOUT}
    return DefectScore(
        photographs,
        controls[REMOVED],
        [photographs, *(controls[name] for name in WITH)],
        [controls[name] for name in WITHOUT],
    )
