"""Features learned on the user's own photographs, by telling them from their own damaged versions.

The network sees photographs beside versions of themselves: defect wiped out, smoothed, blurred, a patch moved. What it
needs to tell them apart is what a defect looks like here, however small. Half of the photographs are filled in where
they show no defect, so that it cannot go by the traces of filling.
"""

import torch
from torch import Tensor

from flawsmith.models.quality.controls import REMOVED, SMOOTHED
from flawsmith.models.quality.random_features import Features, standardised
from flawsmith.models.quality.small_network import Batch, SmallNetwork
from flawsmith.models.quality.space import Lesson, Space
from flawsmith.models.quality.steps import Steps

STEPS = 100
PHOTOGRAPHS = 10  # in a batch, each in all versions
VERSIONS = 5  # photograph, removed, smoothed, blurred, patch moved
LEAST_PATCH, MOST_PATCH = 1 / 16, 1 / 4  # side of a moved patch, as a share of the image's
SEED = 0


class LearnedFeatures:
    """Pooled features and answers of the network, with equal weight.

    Args:
        network: taught by the lesson.
        reference: (M, C, side, side) uint8, the photographs that define the scale.

    Calling it with (N, C, side, side) uint8 gives (N, 133) float32.
    """

    def __init__(self, network: SmallNetwork, reference: Tensor) -> None:
        self.network, self._reference = network, network(reference)

    def __call__(self, images: Tensor) -> Tensor:
        found = zip(self.network(images), self._reference, strict=True)
        parts = [standardised(each, reference) / each.shape[1] ** 0.5 for each, reference in found]
        return torch.cat(parts, 1)


def _batches(lesson: Lesson) -> Batch:
    images, controls = lesson.images, lesson.controls
    blurs = [controls["blurred 1 px"], controls["blurred 2 px"]]

    def batch(random: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(images), (PHOTOGRAPHS,), generator=random)
        coins = torch.rand(2, PHOTOGRAPHS, 1, 1, 1, generator=random) < 0.5
        others = torch.randint(len(images), (PHOTOGRAPHS,), generator=random)
        versions = [
            torch.where(coins[0], images[chosen], lesson.elsewhere[chosen]),
            controls[REMOVED][chosen],
            controls[SMOOTHED][chosen],
            torch.where(coins[1], blurs[0][chosen], blurs[1][chosen]),
            patch_moved(images[chosen], images[others], random),
        ]
        return torch.cat(versions), torch.arange(VERSIONS).repeat_interleave(PHOTOGRAPHS)

    return batch


def patch_moved(images: Tensor, others: Tensor, random: torch.Generator) -> Tensor:
    """Images with a patch of another one in another place (CutPaste, Li et al. 2021, arXiv:2104.04015)."""
    side, moved = images.shape[-1], images.clone()
    sizes = LEAST_PATCH + (MOST_PATCH - LEAST_PATCH) * torch.rand(len(images), 2, generator=random)
    places = torch.rand(len(images), 4, generator=random)
    for image, other, size, place in zip(
        moved, others, (side * sizes).ceil().int().tolist(), places.tolist(), strict=True
    ):
        height, width = size
        top, left, from_top, from_left = (
            int(share * (side - length)) for share, length in zip(place, (height, width) * 2, strict=True)
        )
        image[:, top : top + height, left : left + width] = other[
            :, from_top : from_top + height, from_left : from_left + width
        ]
    return moved


def _prepare(lesson: Lesson) -> Steps[Features]:
    network = SmallNetwork(lesson.images.shape[1], VERSIONS, SEED)
    yield from network.training(_batches(lesson), STEPS)
    return LearnedFeatures(network, lesson.images)


SPACES = (
    Space(
        name="learned",
        meaning="features of a network taught to tell the photographs from their own damaged versions",
        claims=(REMOVED, SMOOTHED, "blurred 2 px", "blurred 4 px"),
        prepare=_prepare,
        cheap=False,
        leads=True,
        paper="CutPaste, Li et al. 2021, arXiv:2104.04015; NSA, Schlüter et al. 2022, arXiv:2109.15222",
    ),
)
