"""Features of images from untrained random convolutions: reproducible from a seed, nothing to download.

On images unlike ImageNet's, random networks tell generated images from photographs about as well as trained ones
(Naeem et al. 2020, arXiv:2002.09797, section 4; Lee et al. 2022, arXiv:2208.09218). The features only support
comparisons within one space. Each space has its blind spots, so there are two.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

WIDTHS = (16, 32, 64)  # channels after each 3x3 convolution; a ReLU and 2x2 average pooling follow each
GRID = 4  # cells a side in which the layout features pool
LAYOUT_SIZE = 64
LEAST_SPREAD = 0.1  # lower bound of a dimension's standard deviation, as a share of the median one
BATCH = 64  # images in one pass

Features = Callable[[Tensor], Tensor]


class TextureFeatures:
    """What an image is made of, wherever it is: mean and standard deviation of every random filter's response.

    Args:
        channels: of the images.
        seed: of the filters.

    Calling it with (N, channels, H, W) uint8, H and W at least 32, gives (N, 224) float32.
    """

    def __init__(self, channels: int, seed: int) -> None:
        self._filters = _filters(channels, torch.Generator().manual_seed(seed))

    def __call__(self, images: Tensor) -> Tensor:
        return torch.cat([self._of(each) for each in images.split(BATCH)])

    def _of(self, images: Tensor) -> Tensor:
        responses = [each.flatten(2) for each in _responses(images, self._filters)]
        return torch.cat([statistic for each in responses for statistic in (each.mean(2), each.std(2))], 1)


class LayoutFeatures:
    """What an image shows where: responses of random filters in a 4x4 grid, projected at random.

    Args:
        channels: of the images.
        seed: of the filters and of the projection.

    Calling it with (N, channels, H, W) uint8, H and W at least 32, gives (N, 64) float32.
    """

    def __init__(self, channels: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        self._filters = _filters(channels, random)
        inputs = WIDTHS[-1] * GRID**2
        self._projection = torch.randn(inputs, LAYOUT_SIZE, generator=random) / math.sqrt(inputs)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.cat([self._of(each) for each in images.split(BATCH)])

    def _of(self, images: Tensor) -> Tensor:
        cells = F.adaptive_avg_pool2d(_responses(images, self._filters)[-1], GRID)
        return cells.flatten(1) @ self._projection


class CombinedFeatures:
    """Texture and layout features, standardised by reference images so that both spaces have equal weight.

    Args:
        reference: (M, C, side, side) uint8, the photographs that define the scale.

    Calling it with (N, C, side, side) uint8 gives (N, 288) float32.
    """

    def __init__(self, reference: Tensor) -> None:
        spaces: list[Features] = [space(reference.shape[1], 0) for space in (TextureFeatures, LayoutFeatures)]
        self._spaces = [(space, space(reference)) for space in spaces]

    def __call__(self, images: Tensor) -> Tensor:
        found = [standardised(space(images), reference) for space, reference in self._spaces]
        return torch.cat([each / each.shape[1] ** 0.5 for each in found], 1)


def random_responses(channels: int, seed: int) -> Callable[[Tensor], list[Tensor]]:
    """The responses of the random filters at each of the three scales: (N, width, H, W) float32 each."""
    filters = _filters(channels, torch.Generator().manual_seed(seed))
    return lambda images: _responses(images, filters)


def weighted(features: Tensor, real: Tensor) -> Tensor:
    """`standardised`, and divided so that spaces of any number of dimensions have equal weight."""
    return standardised(features, real) / math.sqrt(features.shape[1])


def standardised(features: Tensor, real: Tensor) -> Tensor:
    """Standardises (N, D) features by mean and standard deviation of the real ones, (M, D), in each dimension.

    A dimension in which photographs hardly differ is not scaled up: it would drown the others.
    """
    spread = real.std(0)
    return (features - real.mean(0)) / spread.clamp_min(LEAST_SPREAD * spread.median().item()).clamp_min(1e-9)


def _filters(channels: int, random: torch.Generator) -> list[Tensor]:
    filters = []
    for inputs, outputs in zip((channels, *WIDTHS), WIDTHS, strict=False):
        drawn = torch.randn(outputs, inputs, 3, 3, generator=random, dtype=torch.float32)  # whatever torch's default is
        filters.append(drawn * math.sqrt(2 / (9 * inputs)))
    return filters


def _responses(images: Tensor, filters: list[Tensor]) -> list[Tensor]:
    values, responses = images.float() / 127.5 - 1, []
    for each in filters:
        values = F.relu(F.conv2d(values, each))
        responses.append(values)
        values = F.avg_pool2d(values, 2)
    return responses
