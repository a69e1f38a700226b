"""The classifier two-sample test: can a network that was shown both tell new photographs from new samples?

Lopez-Paz and Oquab 2017, arXiv:1610.06545.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from flawsmith.models.quality.small_network import Batch, SmallNetwork
from flawsmith.models.quality.steps import Steps

STEPS = 60
EACH = 24  # photographs, and samples, in a batch
SEED = 1
NORMAL = 1.96  # of a 95 % interval


def classifier_test(known: Sequence[Tensor], asked: Sequence[Tensor]) -> Steps[tuple[int, int]]:
    """How many of the images asked about are told rightly, and how many they are; in steps.

    Args:
        known: photographs and samples to learn from, (N, C, side, side) and (M, C, side, side) uint8.
        asked: other photographs and samples.
    """
    network = SmallNetwork(known[0].shape[1], 2, SEED)
    yield from network.training(_batches(known), STEPS)
    right = sum(int((network(images)[1].argmax(1) == label).sum()) for label, images in enumerate(asked) if len(images))
    return right, sum(map(len, asked))


def wilson_interval(right: int, asked: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share, square = right / asked, NORMAL**2 / asked
    middle = (share + square / 2) / (1 + square)
    reach = NORMAL * math.sqrt(share * (1 - share) / asked + square / (4 * asked)) / (1 + square)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _batches(known: Sequence[Tensor]) -> Batch:
    def batch(random: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = [images[torch.randint(len(images), (EACH,), generator=random)] for images in known]
        return torch.cat(chosen), torch.arange(2).repeat_interleave(EACH)

    return batch
