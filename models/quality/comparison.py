"""The two sides of a comparison: a run's photographs, prepared once, and the samples of one evaluation."""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from flawsmith.models.quality.defect_scale import DefectScale
from flawsmith.models.quality.memorization import min_nn_ratio
from flawsmith.models.quality.random_features import CombinedFeatures, Features
from flawsmith.models.quality.two_sample import mean_distance

COMPARED = 200  # photographs of all types together that samples are compared with; but at least:
LEAST_COMPARED = 20  # of a type
SCORED = 64  # photographs or samples of a type that the discriminator scores

Score = Callable[[Tensor, int], float]
"""(N, C, side, side) uint8 images and their type -> the discriminator's mean logit. Scoring changes nothing."""


class Photographs:
    """What samples are compared with: random subsets of a run's photographs, their features, and their own spread.

    Args:
        training: the photographs trained on, (N, C, side, side) uint8, N > 1, for each type.
        holdout: photographs never trained on, (K, C, side, side) uint8, for each type; K may be 0.
        score: the run's discriminator, if it can score images.

    Attributes:
        training: all types together, at most `COMPARED`, (M, C, side, side) uint8.
        holdout: the same of the holdout.
        features: maps (N, C, side, side) uint8 to (N, D) float32.
        training_features: of the training photographs, for each type.
        reference_features: of the holdout for each type. A type without holdout has its training features instead,
            which cannot show overfitting.
        training_scored, holdout_scored: at most `SCORED` of each type, evenly chosen, for `score`.
    """

    def __init__(self, training: Sequence[Tensor], holdout: Sequence[Tensor], score: Score | None = None) -> None:
        self.score = score
        self.training_scored, self.holdout_scored = ([evenly_chosen(each) for each in of] for of in (training, holdout))
        training, holdout = ([_subset(each, COMPARED // len(of)) for each in of] for of in (training, holdout))
        self.training, self.holdout = torch.cat(training), torch.cat(holdout)
        self._by_type = training, holdout
        self.features: Features = CombinedFeatures(self.training)
        self.training_features = [self.features(each) for each in training]
        self.reference_features = [
            self.features(held_out) if len(held_out) > 1 else known
            for held_out, known in zip(holdout, self.training_features, strict=True)
        ]

    @cached_property
    def mean_distance(self) -> float:
        """Mean distance of two training photographs in feature space; the unit of distances to samples."""
        return max(mean_distance(self.training_features), 1e-9)

    @cached_property
    def defects(self) -> DefectScale:
        """The photographs beside the same ones without their defects."""
        return DefectScale(*self._by_type)

    @cached_property
    def min_nn_ratio(self) -> float:
        """See `memorization.min_nn_ratio`; 0 where the photographs are too few."""
        return min_nn_ratio(self.training, self.holdout)


class Samples:
    """The generated images of one evaluation.

    Args:
        by_type: (M, C, side, side) uint8, M > 1, for each type.
        features: those of the photographs.
    """

    def __init__(self, by_type: Sequence[Tensor], features: Features) -> None:
        self.by_type, self._extract = list(by_type), features
        self._on_defect_scale: tuple[float, float] | None = None

    def on_defect_scale(self, scale: DefectScale) -> tuple[float, float]:
        """See `DefectScale.measure`; computed once."""
        if self._on_defect_scale is None:
            self._on_defect_scale = scale.measure(self.by_type)
        return self._on_defect_scale

    @cached_property
    def images(self) -> Tensor:
        """All types together, (M, C, side, side) uint8."""
        return torch.cat(self.by_type)

    @cached_property
    def features(self) -> list[Tensor]:
        """Of each type, (M, D) float32."""
        return [self._extract(each) for each in self.by_type]


def by_type(images: Tensor, type_index: Tensor, types: int) -> list[Tensor]:
    """Splits (N, …) images with (N,) int64 types into the images of each type."""
    return [images[type_index == each] for each in range(types)]


def evenly_chosen(images: Tensor) -> Tensor:
    """A copy of at most `SCORED` of the images, evenly spaced."""
    return images[:: max(1, -(-len(images) // SCORED))].clone()


def _subset(images: Tensor, most: int) -> Tensor:
    """At most so many images, but at least `LEAST_COMPARED`; the same for the same images."""
    random = torch.Generator().manual_seed(0)
    return images[torch.randperm(len(images), generator=random)[: max(most, LEAST_COMPARED)]]
