"""What is worth knowing of a generator while it is trained, from a few of its images beside the photographs.

Cheap enough for fifty times in a run. Whoever chooses a checkpoint or judges a run reads these signals; nothing here
decides anything.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.quality import copied_share, energy_distance, least_ratio, nearest_distances
from models.random_features import LayoutFeatures, TextureFeatures, standardised

CLOSEST_REAL_PAIRS = (
    0.01  # share of the pairs of photographs; samples that are closer to each other are near-duplicates
)
MOST = 200  # photographs that samples are compared with, of either kind


class Watch:
    """Compares samples with photographs; the same for the same images.

    Args:
        training: (N, C, side, side) uint8, N > 2, the photographs trained on.
        kept_aside: (K, C, side, side) uint8, photographs never trained on; where there are none, those trained on take
            their place, and the distance is blind to what was learnt by heart.
    """

    def __init__(self, training: Tensor, kept_aside: Tensor) -> None:
        self._training, self._kept_aside = _some(training), _some(kept_aside)
        spaces = [space(training.shape[1], 0) for space in (TextureFeatures, LayoutFeatures)]
        self._spaces = [(space, space(self._training)) for space in spaces]
        self._reference = self._features(self._kept_aside if len(kept_aside) else self._training)
        self._allowed = least_ratio(self._training, self._kept_aside)
        distances = F.pdist(self._features(self._training))
        self._usual_distance = distances.mean().item()
        self._close = distances.quantile(CLOSEST_REAL_PAIRS).item()

    def signals(self, samples: Tensor) -> dict[str, float]:
        """What the samples, (M, C, side, side) uint8, M > 1, are like.

        Returns:
            ``distance``: `energy_distance` to photographs never trained on, as a share of the mean distance of two
            photographs.
            ``diversity``: mean distance of two samples, as a share of that of two photographs.
            ``near_duplicates``: share of the pairs of samples that are closer than all but the closest hundredth of the
            pairs of photographs.
            ``copies``: `copied_share`. ``nearest_distance``: mean distance to the nearest photograph trained on.
        """
        features = self._features(samples)
        between, usual = F.pdist(features), max(self._usual_distance, 1e-9)
        return {
            "distance": energy_distance(self._reference, features) / usual,
            "diversity": between.mean().item() / usual,
            "near_duplicates": (between < self._close).float().mean().item(),
            "copies": copied_share(samples, self._training, self._allowed),
            "nearest_distance": nearest_distances(samples, self._training)[:, 0].mean().item(),
        }

    def _features(self, images: Tensor) -> Tensor:
        """By the measure of the photographs trained on, so that each space counts alike."""
        found = [standardised(space(images), known) for space, known in self._spaces]
        return torch.cat([each / each.shape[1] ** 0.5 for each in found], 1)


def _some(images: Tensor) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return images[torch.randperm(len(images), generator=random)[:MOST]]
