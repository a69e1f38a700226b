"""Labels of generated images by a segmenter that learned from annotated photographs.

Two other ways find less, see docs/labels.md: a `PixelClassifier` that learns from what the segmenter finds, and one
that learns from the feature maps of latents that make the photographs again (inversion).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.models.labels.masks import SURE, overlap
from flawsmith.models.labels.segmenter import STEPS, Segmenter, train_segmenter
from flawsmith.models.pixels import from_bytes
from flawsmith.models.quality.steps import Steps

HELD_OUT = 0.2  # share of the photographs that the first segmenter does not learn from
FEWEST = 8  # photographs, from which on some are held out
MOST_COMPARED = 128  # squares of them: more would take seconds


@dataclass(frozen=True)
class AnnotatedPhotographs:
    """Annotated photographs, cut into squares: an entry for each square.

    Attributes:
        images: (N, C, side, side) uint8.
        masks: (N, side, side) bool.
        photograph: (N,) int64, the number of the photograph that each was cut from.
    """

    images: Tensor
    masks: Tensor
    photograph: Tensor


def learned_segmenter(
    photographs: AnnotatedPhotographs, seed: int, steps: int = STEPS
) -> Steps[tuple[Segmenter, float | None]]:
    """A segmenter that learned from all photographs, and how well one does that did not see a fifth of them.

    The latter is the mean intersection over union of their squares with a defect; None below `FEWEST` photographs.
    """
    numbers = photographs.photograph.unique()
    agreement = None
    if len(numbers) >= FEWEST:
        shuffled = numbers[torch.randperm(len(numbers), generator=torch.Generator().manual_seed(seed))]
        unseen = torch.isin(photographs.photograph, shuffled[: round(HELD_OUT * len(numbers))])
        first = yield from train_segmenter(photographs.images[~unseen], photographs.masks[~unseen], seed, steps)
        compared = unseen.nonzero().squeeze(1)
        compared = compared[:: -(-len(compared) // MOST_COMPARED)]
        agreement = agreement_with(first, photographs.images[compared], photographs.masks[compared])
    segmenter = yield from train_segmenter(photographs.images, photographs.masks, seed, steps)
    return segmenter, agreement


def agreement_with(segmenter: Segmenter, images: Tensor, masks: Tensor) -> float | None:
    """Mean intersection over union of a segmenter's masks of (N, C, side, side) uint8 images with (N, side, side) bool.

    Images whose mask is empty do not count; None where all are.
    """
    shown = masks.flatten(1).any(1)
    if not shown.any():
        return None
    found = segmenter.probabilities(from_bytes(images[shown])) >= SURE
    return mean_overlap(found.numpy(), masks[shown].numpy())


def mean_overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Mean intersection over union of masks, (N, H, W) each."""
    return float(np.mean([overlap(*each) for each in zip(first, second, strict=True)]))
