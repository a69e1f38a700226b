"""How much one image looks like a photograph of its type with its defect: cheap enough for every image that is served.

The network of the `learned` space tells photographs from the same ones with the defect wiped out, smoothed, blurred or
moved. Its answer to an image is the log odds of "photograph". They are put on the scale of photographs that it did not
learn from: 0 is the median of these with their defects wiped out, 1 their median. Wiping out is filling in or a median
filter, whichever the network tells better from photographs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.quality.controls import REMOVED, SMOOTHED
from flawsmith.models.quality.judging import Calibration
from flawsmith.models.quality.small_network import SmallNetwork
from flawsmith.models.quality.spaces.learned import LearnedFeatures

LEARNED = "learned"
PASS = 16  # images in each pass, padded: kernels may differ between batch sizes, and a score must not
DECIMALS = 4
TOLD = 0.75  # share of pairs that must be ranked rightly; 0.5 is chance


class ImageScore:
    """Scores images.

    Args:
        network: tells photographs, its first label, from damaged ones.
        scales: for each type the network's answers that score 0 and 1; NaN where it cannot see the type's defects.
    """

    def __init__(self, network: SmallNetwork, scales: Sequence[tuple[float, float]]) -> None:
        self.network, self.scales = network, list(scales)

    def __call__(self, images: Tensor, type_index: Sequence[int]) -> list[float]:
        """The score of each image, rounded; NaN where its type has none. Other images make no difference to it.

        Args:
            images: (N, C, side, side) uint8.
            type_index: the position of each image's type.
        """
        found = []
        for answer, each in zip(answers(self.network, images), type_index, strict=True):
            zero, one = self.scales[each]
            found.append(round((answer - zero) / (one - zero), DECIMALS))
        return found


@dataclass(frozen=True)
class CalibratedScore:
    """A score, and what photographs that the network did not learn from have: sorted, for each type."""

    score: ImageScore
    photographs: list[list[float]]


def image_score(calibration: Calibration) -> CalibratedScore | None:
    """The score of single images; None where the photographs are too few, or no type's defects are seen."""
    if LEARNED not in calibration.spaces:
        return None
    features = calibration.spaces[LEARNED][0].features
    assert isinstance(features, LearnedFeatures)
    genuine, scales = [], []
    for each, pool in zip(calibration.types, calibration.folds[0].pools, strict=True):
        own = answers(features.network, each.images[pool.members])
        ways = [answers(features.network, each.controls[name][pool.members]) for name in (REMOVED, SMOOTHED)]
        share, wiped = max((_share_told(own, way), way) for way in ways)
        genuine.append(own)
        scores = each.calibrates and share >= TOLD
        scales.append((_median(wiped), _median(own)) if scores else (math.nan, math.nan))
    if all(math.isnan(zero) for zero, _ in scales):
        return None
    score = ImageScore(features.network, scales)
    on_scale = [
        sorted((each - zero) / (one - zero) for each in own) for own, (zero, one) in zip(genuine, scales, strict=True)
    ]
    return CalibratedScore(score, on_scale)


def answers(network: SmallNetwork, images: Tensor) -> list[float]:
    """The log odds that each of (N, C, side, side) uint8 images is a photograph."""
    found: list[float] = []
    for part in images.split(PASS):
        padded = F.pad(part, (0, 0) * 3 + (0, PASS - len(part)))
        _, logits = network(padded)
        odds = logits[:, 0] - torch.logsumexp(logits[:, 1:], 1)
        found += odds[: len(part)].tolist()
    return found


def _share_told(own: Sequence[float], wiped: Sequence[float]) -> float:
    """The share of pairs, photograph and wiped one, that the answers rank rightly."""
    pairs = torch.tensor(own)[:, None] > torch.tensor(wiped)
    return pairs.float().mean().item()


def _median(values: Sequence[float]) -> float:
    return torch.tensor(values, dtype=torch.float64).quantile(0.5).item()
