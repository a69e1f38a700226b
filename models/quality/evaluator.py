"""What is worth knowing of a generator while it is trained, from a few of its images beside the photographs.

Cheap enough for fifty times in a run. Whoever chooses a checkpoint or judges a run reads these signals; nothing here
decides anything.
"""

from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.quality.measures import (
    energy_distance,
    mean_distance,
    memorization_rate,
    min_nn_ratio,
    nearest_distances,
)
from flawsmith.models.quality.random_features import LayoutFeatures, TextureFeatures, standardised

CLOSEST_REAL_PAIRS = (
    0.01  # share of the pairs of photographs; samples that are closer to each other are near-duplicates
)
MOST = 200  # photographs that samples are compared with, of either kind, of all types pipeline; but at least
LEAST = 20  # of a type


class Evaluator:
    """Compares samples with photographs; the same for the same images.

    Args:
        training: the photographs trained on, (N, C, side, side) uint8, N > 1, for each type.
        holdout: photographs never trained on, (K, C, side, side) uint8, for each type; where a type has none, those
            trained on take their place, and the distance is blind to what was learnt by heart.
    """

    def __init__(self, training: Sequence[Tensor], holdout: Sequence[Tensor]) -> None:
        training, holdout = ([_some(each, MOST // len(of_all)) for each in of_all] for of_all in (training, holdout))
        self._training = torch.cat(training)
        spaces = [space(self._training.shape[1], 0) for space in (TextureFeatures, LayoutFeatures)]
        self._spaces = [(space, space(self._training)) for space in spaces]
        references = (aside if len(aside) > 1 else known for known, aside in zip(training, holdout, strict=True))
        self._reference = [self._features(each) for each in references]
        self._allowed = min_nn_ratio(self._training, torch.cat(holdout))
        known = [self._features(each) for each in training]
        self._usual_distance = max(mean_distance(known), 1e-9)
        self._close = F.pdist(torch.cat(known)).quantile(CLOSEST_REAL_PAIRS).item()

    def signals(self, samples: Sequence[Tensor]) -> dict[str, float]:
        """What the samples, (M, C, side, side) uint8, M > 1, for each type, are like. Types count alike.

        Returns:
            ``distance``: `energy_distance` to photographs never trained on, the mean over types, as a share of the mean
            distance of two photographs.
            ``diversity``: mean distance of two samples, as a share of that of two photographs.
            ``near_duplicates``: share of the pairs of samples that are closer than all but the closest hundredth of the
            pairs of photographs.
            ``memorization_rate``: `memorization_rate`; not told where there are too few photographs to tell it by.
            ``nearest_distance``: mean distance to the nearest photograph trained on.
        """
        features, images = [self._features(each) for each in samples], torch.cat(list(samples))
        return {
            "distance": fmean(map(energy_distance, self._reference, features)) / self._usual_distance,
            "diversity": mean_distance(features) / self._usual_distance,
            "near_duplicates": (F.pdist(torch.cat(features)) < self._close).float().mean().item(),
            **(
                {"memorization_rate": memorization_rate(images, self._training, self._allowed)} if self._allowed else {}
            ),
            "nearest_distance": nearest_distances(images, self._training)[:, 0].mean().item(),
        }

    def _features(self, images: Tensor) -> Tensor:
        """By the measure of the photographs trained on, so that each space counts alike."""
        found = [standardised(space(images), known) for space, known in self._spaces]
        return torch.cat([each / each.shape[1] ** 0.5 for each in found], 1)


def by_type(images: Tensor, type_index: Tensor, types: int) -> list[Tensor]:
    """(N, …) and (N,) int64: the images of each type."""
    return [images[type_index == each] for each in range(types)]


def _some(images: Tensor, most: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return images[torch.randperm(len(images), generator=random)[: max(most, LEAST)]]
