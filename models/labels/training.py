"""Trains the label network on images of the frozen generator whose labels are known. Seconds on one core."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.labels.classifier import PixelClassifier
from flawsmith.models.quality.steps import Steps

STEPS = 300
BATCH = 8
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-3

Network = TypeVar("Network", bound=nn.Module)
Batch = Callable[[torch.Generator], Tensor]
"""Random numbers -> the loss of a batch."""


@dataclass(frozen=True)
class LabelledImages:
    """Generated images with the feature maps that they were made from, and their labels; all on the CPU.

    Attributes:
        images: (N, C, side, side) float32 from -1 to 1.
        maps: feature maps, (N, W, S, S) float32 each, from coarse to fine.
        type_index: (N,) int64.
        targets: (N, side, side) float32, 0 … 1: how surely each pixel shows a defect.
    """

    images: Tensor
    maps: Sequence[Tensor]
    type_index: Tensor
    targets: Tensor


def train_label_network(labelled: LabelledImages, types: int, seed: int, steps: int = STEPS) -> Steps[PixelClassifier]:
    """Trains on the CPU, in steps; the same images, labels and seed give the same network.

    Args:
        labelled: at least one image.
        types: number of defect types.
        seed: of first weights and batches.
        steps: updates of the network.
    """
    network = seeded(
        seed, lambda: PixelClassifier([each.shape[1] for each in labelled.maps], labelled.images.shape[1], types)
    )
    network.scale(labelled.maps)

    def batch(random: torch.Generator) -> Tensor:
        chosen = torch.randint(len(labelled.images), (BATCH,), generator=random)
        maps = [each[chosen] for each in labelled.maps]
        logits = network(maps, labelled.images[chosen], labelled.type_index[chosen])
        return label_loss(logits, labelled.targets[chosen])

    yield from descend(network, batch, steps, LEARNING_RATE, seed)
    return network.eval().requires_grad_(False)


def seeded(seed: int, make: Callable[[], Network]) -> Network:
    """A network whose first weights this seed decides; the process's random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def descend(network: nn.Module, batch: Batch, steps: int, rate: float, seed: int) -> Steps[None]:
    """So many steps of AdamW on the losses of batches; the learning rate falls to zero as a cosine does."""
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        with torch.enable_grad():
            loss = batch(random)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield


def label_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy, and one minus Dice's coefficient of the whole batch: thin defects are few of the pixels.

    Both as in nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).

    Args:
        logits, targets: (B, side, side); targets from 0 to 1.
    """
    found = logits.sigmoid()
    overlap = 2 * (found * targets).sum() + 1
    return F.binary_cross_entropy_with_logits(logits, targets) + 1 - overlap / (found.sum() + targets.sum() + 1)
