"""A small convolutional network with random numbers of its own, trained for a fixed number of steps on the CPU."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

WIDTHS = (16, 32, 64)  # channels after each convolution with stride 2; a last one keeps the size
LEARNING_RATE = 2e-3
BATCH = 64

Batch = Callable[[torch.Generator], tuple[Tensor, Tensor]]
"""Random numbers -> (B, C, side, side) uint8 and (B,) int64 labels."""


class SmallNetwork:
    """Classifies images by features pooled by maximum and mean. The global random state stays as it is.

    Args:
        channels: of the images.
        labels: how many there are.
        seed: of weights and batches.
    """

    def __init__(self, channels: int, labels: int, seed: int) -> None:
        self.channels, self.random = channels, torch.Generator().manual_seed(seed)
        sizes = _convolutions(channels)
        self._weights = [self._drawn(outputs, inputs, size, size) for outputs, inputs, size in sizes]
        self._biases = [torch.zeros(outputs, requires_grad=True) for outputs, _, _ in sizes]
        self._answer = self._drawn(labels, 2 * WIDTHS[-1])
        self._answer_bias = torch.zeros(labels, requires_grad=True)
        self._adam = torch.optim.Adam(self._parameters, LEARNING_RATE)

    @property
    def _parameters(self) -> list[Tensor]:
        return [*self._weights, *self._biases, self._answer, self._answer_bias]

    def state(self) -> list[Tensor]:
        """All weights, float32, in the order that `load` takes."""
        return [each.detach().clone() for each in self._parameters]

    @classmethod
    def load(cls, state: Sequence[Tensor]) -> Self:
        """The network with these weights. Raises ValueError if they are of another one."""
        if len(state) < 2 or state[0].ndim != 4 or state[-1].ndim != 1:
            raise ValueError("the weights are those of no small network")
        channels, labels = state[0].shape[1], len(state[-1])
        sizes = _convolutions(channels)
        shapes = [(outputs, inputs, side, side) for outputs, inputs, side in sizes] + [(each[0],) for each in sizes]
        if [tuple(each.shape) for each in state] != [*shapes, (labels, 2 * WIDTHS[-1]), (labels,)]:
            raise ValueError("the weights are those of no small network")
        network = cls(channels, labels, 0)
        with torch.no_grad():
            for parameter, each in zip(network._parameters, state, strict=True):
                parameter.copy_(each)
        return network

    def training(self, batch: Batch, steps: int) -> Iterator[None]:
        """Trains on so many batches, with random flips; the learning rate falls to zero. Yields after each."""
        for step in range(steps):
            for group in self._adam.param_groups:
                group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
            images, labels = batch(self.random)
            with torch.enable_grad():
                _, answers = self._forward(self._flipped(images))
                loss = F.cross_entropy(answers, labels, label_smoothing=0.05)
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()
            yield

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, side, side) uint8 -> pooled features, (N, 128), and a logit for each label, (N, labels)."""
        found = [self._forward(each) for each in images.split(BATCH)]
        return torch.cat([features for features, _ in found]), torch.cat([answers for _, answers in found])

    def _forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        values = images.float() / 127.5 - 1
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            values = F.leaky_relu(F.conv2d(values, weight, bias, stride=2, padding=weight.shape[-1] // 2), 0.1)
        values = F.leaky_relu(F.conv2d(values, self._weights[-1], self._biases[-1], padding=1), 0.1)
        pooled = torch.cat([values.amax((2, 3)), values.mean((2, 3))], 1)
        return pooled, pooled @ self._answer.T + self._answer_bias

    def _drawn(self, *shape: int) -> Tensor:
        scale = math.sqrt(2 / math.prod(shape[1:]))
        return (torch.randn(shape, generator=self.random) * scale).requires_grad_()

    def _flipped(self, images: Tensor) -> Tensor:
        across, down = torch.rand(2, len(images), 1, 1, 1, generator=self.random) < 0.5
        images = torch.where(across, images.flip(3), images)
        return torch.where(down, images.flip(2), images)


def _convolutions(channels: int) -> list[tuple[int, int, int]]:
    """Output and input channels and the kernel's side of each."""
    return [(WIDTHS[0], channels, 5), (WIDTHS[1], WIDTHS[0], 3), (WIDTHS[2], WIDTHS[1], 3)]
