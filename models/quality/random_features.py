"""Features of images from convolutions that nobody trained: the same numbers for the same seed, nothing to download.

Random networks tell generated images from photographs about as well as trained ones do, where the images are far from
those that a trained one knows (Naeem et al. 2020, arXiv:2002.09797, section 4; Lee et al. 2022, arXiv:2208.09218). They
are good for comparisons among themselves only, and each space is blind to something, so there are two.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

WIDTHS = (16, 32, 64)  # channels after each 3x3 convolution; each is followed by a rectifier and a halving
PLACES = 4  # a side, that the layout is told apart by
LAYOUT_SIZE = 64
LEAST_SPREAD = 0.1  # of a dimension, as a share of the middle one
AT_ONCE = 64  # images in one pass

Features = Callable[[Tensor], Tensor]


class TextureFeatures:
    """What an image is made of, wherever it is: mean and standard deviation of every random filter's answer.

    Args:
        channels: of the images.
        seed: of the filters.

    Calling it with (N, channels, H, W) uint8, H and W at least 32, gives (N, 224) float32.
    """

    def __init__(self, channels: int, seed: int) -> None:
        self._filters = _filters(channels, torch.Generator().manual_seed(seed))

    def __call__(self, images: Tensor) -> Tensor:
        return torch.cat([self._of(each) for each in images.split(AT_ONCE)])

    def _of(self, images: Tensor) -> Tensor:
        answers = [each.flatten(2) for each in _answers(images, self._filters)]
        return torch.cat([statistic for each in answers for statistic in (each.mean(2), each.std(2))], 1)


class LayoutFeatures:
    """What an image has where: the answers of random filters at 4x4 places, projected at random.

    Args:
        channels: of the images.
        seed: of the filters and of the projection.

    Calling it with (N, channels, H, W) uint8, H and W at least 32, gives (N, 64) float32.
    """

    def __init__(self, channels: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        self._filters = _filters(channels, random)
        inputs = WIDTHS[-1] * PLACES**2
        self._projection = torch.randn(inputs, LAYOUT_SIZE, generator=random) / math.sqrt(inputs)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.cat([self._of(each) for each in images.split(AT_ONCE)])

    def _of(self, images: Tensor) -> Tensor:
        places = F.adaptive_avg_pool2d(_answers(images, self._filters)[-1], PLACES)
        return places.flatten(1) @ self._projection


def standardised(features: Tensor, real: Tensor) -> Tensor:
    """(N, D) features by the mean and the standard deviation that the real ones, (M, D), have in each dimension.

    A dimension in which photographs hardly differ is not blown up: it would drown the others.
    """
    spread = real.std(0)
    return (features - real.mean(0)) / spread.clamp_min(LEAST_SPREAD * spread.median().item()).clamp_min(1e-9)


def _filters(channels: int, random: torch.Generator) -> list[Tensor]:
    filters = []
    for inputs, outputs in zip((channels, *WIDTHS), WIDTHS, strict=False):
        filters.append(torch.randn(outputs, inputs, 3, 3, generator=random) * math.sqrt(2 / (9 * inputs)))
    return filters


def _answers(images: Tensor, filters: list[Tensor]) -> list[Tensor]:
    values, answers = images.float() / 127.5 - 1, []
    for each in filters:
        values = F.relu(F.conv2d(values, each))
        answers.append(values)
        values = F.avg_pool2d(values, 2)
    return answers
