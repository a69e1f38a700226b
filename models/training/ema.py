"""Exponential moving average (EMA) of a network's weights."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

RAMP_UP = 20  # the half-life is at most the images shown so far divided by this


class ExponentialMovingAverage(Generic[Network]):
    """A copy of a network whose parameters follow the network's, averaged over the images shown.

    The ramp-up is that of Karras et al. 2020, arXiv:2006.06676, in StyleGAN2-ADA's code. Buffers are not averaged.

    Args:
        network: the network to follow.
        half_life: the longest, in images shown.
        batch_size: images in one update.

    Attributes:
        module: the averaged network, without gradients.
    """

    def __init__(self, network: Network, half_life: int, batch_size: int) -> None:
        self._network, self.half_life, self.batch_size = network, half_life, batch_size
        self.module = copy.deepcopy(network).requires_grad_(False)

    def update(self, images_shown: int) -> None:
        """Follows one update of the network.

        Args:
            images_shown: before this update.
        """
        half_life = min(self.half_life, images_shown / RAMP_UP)
        keep = 0.5 ** (self.batch_size / half_life) if half_life else 0.0
        averages: list[Tensor] = list(self.module.parameters())
        weights: list[Tensor] = list(self._network.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - keep)
