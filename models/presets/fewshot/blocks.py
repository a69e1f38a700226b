"""Parts of the generator of the preset for few photographs; `networks` says why they are as they are."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.presets.fewshot.haar import BANDS
from flawsmith.models.presets.fewshot.lines import level_and_upright, line_noise, weighted_noise

SLOPE = 0.2  # of the leaky ReLUs, for negative values
GRAIN_FROM = 32  # side of the first feature maps with noise per pixel; below it, such noise bends lines
FIRST_MEAN, FIRST_DIFFERENCE = 2.0, 0.25  # initial standard deviation of an image's bands; most variance is in means
MASK_AMPLITUDE = 0.5  # of a mask's values; images have most of theirs within as much of their mean
FIRST_NOISE = 0.1  # initial standard deviation of the noise, in every channel


def pixel_row_column_noise(side: int) -> list[int]:
    """Noise values of a feature map: one a pixel if it has grain, then one a row, one a column."""
    return [side**2 if side >= GRAIN_FROM else 0, side, side]


def pixel_line_noise(side: int) -> list[int]:
    """The same for networks with direction: one a pixel if it has grain, then one a line."""
    return [side**2 if side >= GRAIN_FROM else 0, side]


def initialise(layer: nn.Module, gain: float) -> None:
    """Normal weights that multiply the variance by gain squared (He et al. 2015, arXiv:1502.01852); zero bias."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Upsample(nn.Module):
    """Doubles the side of feature maps: a 1x1 convolution to other channels, then the low-pass filter [1, 3, 3, 1].

    Args:
        inputs: channels.
        outputs: channels.
        repeat_edges: whether features go on beyond the edges as at the edges. Without, they are zero there, which a
            residual block makes up for.
    """

    low_pass: Tensor

    def __init__(self, inputs: int, outputs: int, repeat_edges: bool = False) -> None:
        super().__init__()
        self.repeated = int(repeat_edges)
        self.change = nn.Conv2d(inputs, outputs, 1, bias=False)
        # On each axis two of the four taps meet a value at any place, so the taps sum to 2.
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("low_pass", torch.outer(taps, taps).repeat(outputs, 1, 1, 1), persistent=False)
        initialise(self.change, 1.0)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, S, S) -> (B, outputs, 2 S, 2 S)."""
        changed = self.change(features)
        low_pass = self.low_pass.to(changed.dtype)
        if self.repeated:
            changed = F.pad(changed, [self.repeated] * 4, mode="replicate")
        return F.conv_transpose2d(changed, low_pass, stride=2, padding=1 + 2 * self.repeated, groups=len(low_pass))


class StyledResidual(nn.Module):
    """The layers of a residual block with means of rows and columns, and noise whose strength the style sets.

    Args:
        noise_sizes: noise values of each kind; 0 where a kind is left out at this side.
        width: channels.
        style_size: length of the style.
    """

    def __init__(self, noise_sizes: list[int], width: int, style_size: int) -> None:
        super().__init__()
        self.noise_sizes = noise_sizes
        self.before = nn.Conv2d(width, width, 3, padding=1)
        self.after = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.of_rows = nn.Conv2d(width, width, 1, bias=False)
        self.of_columns = nn.Conv2d(width, width, 1, bias=False)
        self.styling = nn.Linear(style_size, (1 + sum(map(bool, noise_sizes))) * width)
        initialise(self.before, math.sqrt(2 / (1 + SLOPE**2)))
        initialise(self.of_rows, 1.0)
        initialise(self.of_columns, 1.0)
        nn.init.zeros_(self.after.weight)
        nn.init.zeros_(self.styling.weight)
        with torch.no_grad():
            self.styling.bias.fill_(FIRST_NOISE)[:width] = 1


class NoisyResidual(StyledResidual):
    """Residual block of two 3x3 convolutions on features, their row and column means, and noise.

    The branch is zero at first. Between the convolutions the style sets, for each channel, a gain and the strength of
    the noise per pixel, row and column.
    """

    def __init__(self, side: int, width: int, style_size: int) -> None:
        super().__init__(pixel_row_column_noise(side), width, style_size)

    def forward(self, features: Tensor, noise: Tensor, style: Tensor) -> Tensor:
        """(B, width, S, S), (B, sum of `pixel_row_column_noise`), (B, style_size) -> (B, width, S, S)."""
        width, side = features.shape[1:3]
        pixels, rows, columns = noise.split(self.noise_sizes, 1)
        gain, along_rows, along_columns, *grainy = self.styling(style)[:, :, None, None].split(width, 1)
        of_rows = self.of_rows(features.mean(3, keepdim=True)) + along_rows * rows.view(-1, 1, side, 1)
        of_columns = self.of_columns(features.mean(2, keepdim=True)) + along_columns * columns.view(-1, 1, 1, side)
        inner = self.before(F.leaky_relu(features, SLOPE)) + of_rows + of_columns
        if grainy:
            inner = inner + grainy[0] * pixels.view(-1, 1, side, side)
        changed: Tensor = features + self.after(F.leaky_relu(gain * inner, SLOPE))
        return changed


class DirectedResidual(StyledResidual):
    """As `NoisyResidual`, for images with a direction: noise per line in place of noise per row and column.

    The means of rows count as far as the direction is level, those of columns as far as it is upright.
    """

    def __init__(self, side: int, width: int, style_size: int) -> None:
        super().__init__(pixel_line_noise(side), width, style_size)

    def forward(self, features: Tensor, noise: Tensor, style: Tensor, directions: Tensor) -> Tensor:
        """(B, width, S, S), (B, sum of `pixel_line_noise`), (B, style_size), (B, 2 + K) -> (B, width, S, S)."""
        width, side = features.shape[1:3]
        pixels, lines = noise.split(self.noise_sizes, 1)
        styling = self.styling(style)
        gain, strengths = styling[:, :width, None, None], styling[:, width:].unflatten(1, (-1, width))
        pictures = line_noise(lines, directions)
        if pixels.shape[1]:
            pictures = torch.cat([pictures, pixels.view(-1, 1, side, side)], 1)
        level, upright = level_and_upright(directions)
        inner = self.before(F.leaky_relu(features, SLOPE)) + weighted_noise(strengths, pictures)
        inner = inner + self.of_rows(level * features.mean(3, keepdim=True))
        inner = inner + self.of_columns(upright * features.mean(2, keepdim=True))
        changed: Tensor = features + self.after(F.leaky_relu(gain * inner, SLOPE))
        return changed


class MaskHead(nn.Module):
    """Makes an image's mask of the features that the image is made of, without the grain that is added last.

    It gives zero at first, which is neither defect nor surface, so that networks trained without masks can go on.

    Args:
        width: channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.mask = nn.Conv2d(width, 1, 3, padding=1, padding_mode="replicate")
        initialise(self.hidden, math.sqrt(2 / (1 + SLOPE**2)))
        initialise(self.mask, 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, S, S) -> (B, 1, S, S), from -`MASK_AMPLITUDE` to it; above zero is the defect."""
        hidden = F.leaky_relu(self.hidden(F.leaky_relu(features, SLOPE)), SLOPE)
        mask: Tensor = MASK_AMPLITUDE * self.mask(hidden).tanh()
        return mask


class BandConvolution(nn.Conv2d):
    """The last 3x3 convolution of a generator with wavelet: features to the bands of `haar`.

    The bands of differences have no bias, and their kernels sum to zero: where features are constant, pixels are too.
    Else every even pixel would be a little brighter than every odd one, which shows as a grid.

    Args:
        width: of the features.
        channels: of the images.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__(width, BANDS * channels, 3, padding=1, bias=False)
        self.mean = nn.Parameter(torch.zeros(channels))
        initialise(self, 1.0)
        with torch.no_grad():
            self.weight[:channels] *= FIRST_MEAN
            self.weight[channels:] *= FIRST_DIFFERENCE

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, S, S) -> (B, 4 channels, S, S)."""
        channels = len(self.mean)
        of_mean, of_differences = self.weight[:channels], self.weight[channels:]
        weight = torch.cat([of_mean, of_differences - of_differences.mean((2, 3), keepdim=True)])
        bias = F.pad(self.mean, (0, len(weight) - channels))
        return F.conv2d(features, weight, bias, padding=1)
