"""Generator and discriminator for few photographs: residual, without normalisation, with grain from noise inputs.

After R3GAN (Huang et al. 2024, arXiv:2501.05441, section 4): residual branches that are zero at first, no
normalisation, and resampling with a low-pass filter against checkerboards. Five differences suit small images on a CPU:

- The generator's branches are two plain 3x3 convolutions.
- The discriminator halves the side by strided 4x4 convolutions, as DCGAN does (Radford et al. 2015, arXiv:1511.06434),
  after one 3x3 convolution at full resolution. Without the latter it hardly sees single pixels, and grain becomes a
  weave.
- Noise per pixel enters at 32 pixels a side and above, and again just before the output. The grain of metal is random;
  without noise the generator would have to make it from the latent (Karras et al. 2018, arXiv:1812.04948, section 3.2).
- Rolling marks and scratches are straight, and convolutions bend long lines. So noise per row and per column enters at
  every resolution, each block receives the means of its features' rows and columns (strip pooling: Hou et al. 2020,
  arXiv:2003.13328), and there is no noise per pixel below 32 pixels.
- The style scales channels and noise at every resolution, not only at the first (Karras et al. 2018, section 3, but
  without normalisation): images differ in the direction of their lines and the strength of their grain.

There are no batch statistics: no image depends on the others of its batch.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.presets.generator import PresetGenerator

SMALLEST = 4  # height and width of the generator's first and the discriminator's last feature map, in pixels
# The widest feature maps have so many times the channels of the narrowest. The generator needs its channels for detail,
# the discriminator for coarse layout.
GENERATOR_WIDEST, DISCRIMINATOR_WIDEST = 4, 8
SLOPE = 0.2  # of the leaky ReLUs, for negative values
GRAIN_FROM = 32  # side of the first feature maps with noise per pixel; below it, such noise bends lines
FIRST_NOISE = 0.1  # initial standard deviation of the noise, in every channel


def resolutions(resolution: int) -> list[int]:
    """Sides of the feature maps, from 4 to the image's."""
    return [SMALLEST * 2**level for level in range(int(math.log2(resolution // SMALLEST)) + 1)]


def noise_size(resolution: int) -> int:
    """Noise values of an image: `pixel_row_column_noise` of each resolution above the first."""
    return sum(noise_sizes(resolution))


def noise_sizes(resolution: int) -> list[int]:
    """Noise values of each resolution above the first."""
    return [sum(pixel_row_column_noise(side)) for side in resolutions(resolution)[1:]]


def pixel_row_column_noise(side: int) -> list[int]:
    """Noise values of a feature map: one a pixel if it has grain, then one a row, one a column."""
    return [side**2 if side >= GRAIN_FROM else 0, side, side]


def one_hot(type_index: Tensor, types: int, dtype: torch.dtype) -> Tensor:
    """(B,) int64 -> (B, types)."""
    return F.one_hot(type_index, types).to(dtype)


class Generator(PresetGenerator):
    """Latents to images.

    Args:
        resolution: side of the images in pixels, a power of two from 32.
        channels: of the images.
        style_size: how many of a latent's numbers are the style; the others are noise, for grain and lines.
        width: channels at the image's own resolution; doubled at each one below, up to `GENERATOR_WIDEST` times.
        types: number of defect types.

    Attributes:
        latent_size: length of a latent, ``style_size`` + `noise_size`; each number is standard normal.
        conditioning: 0 … 1, how much the type matters. It starts at 0: with full conditioning from the start, the
            images of a type collapse on small sets (Shahbazi et al. 2022, arXiv:2201.06578).
    """

    conditioning: Tensor

    def __init__(self, resolution: int, channels: int, style_size: int, width: int, types: int) -> None:
        super().__init__()
        self.sides = resolutions(resolution)
        self.style_size, self.types = style_size, types
        self.latent_size = style_size + noise_size(resolution)
        widths = [width * min(GENERATOR_WIDEST, resolution // side) for side in self.sides]
        self.embedding = nn.Linear(types, style_size, bias=False)
        self.first = nn.Linear(2 * style_size, widths[0] * SMALLEST**2)
        self.doublings = nn.ModuleList(Upsample(wide, narrow) for wide, narrow in pairwise(widths))
        self.blocks = nn.ModuleList(
            NoisyResidual(side, wide, 2 * style_size) for side, wide in zip(self.sides[1:], widths[1:], strict=True)
        )
        self.grain = nn.Linear(2 * style_size, widths[-1])  # strength of the noise before the last convolution
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)
        self.register_buffer("conditioning", torch.zeros(()))
        nn.init.normal_(self.embedding.weight)
        _initialise(self.first, 1.0)
        _initialise(self.last, 1.0)
        nn.init.zeros_(self.grain.weight)
        nn.init.constant_(self.grain.bias, FIRST_NOISE)

    def forward(self, latents: Tensor, type_index: Tensor) -> Tensor:
        """(B, latent_size) and (B,) int64 -> (B, channels, resolution, resolution), of the same dtype.

        Photographs are in [-1, 1]; images may exceed that range and must be clamped.
        """
        style, *noise = latents.split([self.style_size, *noise_sizes(self.sides[-1])], 1)
        condition = self.conditioning * one_hot(type_index, self.types, latents.dtype)
        styled = torch.cat([style, self.embedding(condition)], 1)
        features = self.first(styled).unflatten(1, (-1, SMALLEST, SMALLEST))
        for upsample, block, its_noise in zip(self.doublings, self.blocks, noise, strict=True):
            features = block(upsample(features), its_noise, styled)
        side = self.sides[-1]
        pixels = noise[-1][:, : side**2].view(-1, 1, side, side)
        features = features + self.grain(styled)[:, :, None, None] * pixels
        images: Tensor = self.last(F.leaky_relu(features, SLOPE))
        return images


class Upsample(nn.Module):
    """Doubles the side of feature maps: a 1x1 convolution to other channels, then the low-pass filter [1, 3, 3, 1]."""

    low_pass: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.change = nn.Conv2d(inputs, outputs, 1, bias=False)
        # On each axis two of the four taps meet a value at any place, so the taps sum to 2.
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("low_pass", torch.outer(taps, taps).repeat(outputs, 1, 1, 1), persistent=False)
        _initialise(self.change, 1.0)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, S, S) -> (B, outputs, 2 S, 2 S)."""
        changed = self.change(features)
        low_pass = self.low_pass.to(changed.dtype)
        return F.conv_transpose2d(changed, low_pass, stride=2, padding=1, groups=len(low_pass))


class NoisyResidual(nn.Module):
    """Residual block of two 3x3 convolutions on features, their row and column means, and noise.

    The branch is zero at first. Between the convolutions the style sets, for each channel, a gain and the strength of
    the noise per pixel, row and column.
    """

    def __init__(self, side: int, width: int, style_size: int) -> None:
        super().__init__()
        self.noise_sizes = pixel_row_column_noise(side)
        self.before = nn.Conv2d(width, width, 3, padding=1)
        self.after = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.of_rows = nn.Conv2d(width, width, 1, bias=False)
        self.of_columns = nn.Conv2d(width, width, 1, bias=False)
        self.styling = nn.Linear(style_size, (4 if self.noise_sizes[0] else 3) * width)
        _initialise(self.before, math.sqrt(2 / (1 + SLOPE**2)))
        _initialise(self.of_rows, 1.0)
        _initialise(self.of_columns, 1.0)
        nn.init.zeros_(self.after.weight)
        nn.init.zeros_(self.styling.weight)
        with torch.no_grad():
            self.styling.bias.fill_(FIRST_NOISE)[:width] = 1

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


class Discriminator(nn.Module):
    """Images to one logit each: convolutions and leaky ReLUs, then the inner product with a head.

    The head is one for all types plus, weighted by `conditioning`, one for the image's type, which is zero at first
    (projection: Miyato, Koyama 2018, arXiv:1802.05637, section 3).

    The network is linear around almost every image, which `discriminator_pass` relies on.

    Args:
        resolution: side of the images in pixels, a power of two from 32.
        channels: of the images.
        width: channels at half the image's resolution, from 2; half as many at the image's own, and doubled at each one
            below, up to `DISCRIMINATOR_WIDEST` times.
        types: number of defect types.
    """

    conditioning: Tensor

    def __init__(self, resolution: int, channels: int, width: int, types: int) -> None:
        super().__init__()
        self.types = types
        widths = [
            width * min(DISCRIMINATOR_WIDEST, resolution // 2 // side) for side in resolutions(resolution // 2)[::-1]
        ]
        finest = nn.Conv2d(channels, width // 2, 3, padding=1)
        strided = [nn.Conv2d(inputs, outputs, 4, 2, 1) for inputs, outputs in pairwise([width // 2, *widths])]
        self.convolutions = nn.ModuleList([finest, *strided, nn.Conv2d(widths[-1], widths[-1], SMALLEST)])
        self.head = nn.Linear(widths[-1], 1)
        self.heads_by_type = nn.Linear(types, widths[-1], bias=False)
        self.register_buffer("conditioning", torch.zeros(()))
        for layer in self.convolutions:
            _initialise(layer, math.sqrt(2 / (1 + SLOPE**2)))
        _initialise(self.head, 1.0)
        nn.init.zeros_(self.heads_by_type.weight)

    def forward(self, images: Tensor, type_index: Tensor) -> Tensor:
        """(B, channels, resolution, resolution) float32, (B,) int64 -> (B,) float32 logits."""
        features = images
        for convolution in self.convolutions:
            features = F.leaky_relu(convolution(features), SLOPE)
        return (features.flatten(1) * self.heads(type_index)).sum(1) + self.head.bias

    def heads(self, type_index: Tensor) -> Tensor:
        """(B,) int64 -> (B, features): the logit is the inner product of features and head."""
        condition = self.conditioning * one_hot(type_index, self.types, self.head.weight.dtype)
        heads: Tensor = self.head.weight + self.heads_by_type(condition)
        return heads


def _initialise(layer: nn.Module, gain: float) -> None:
    """Normal weights that multiply the variance by gain squared (He et al. 2015, arXiv:1502.01852); zero bias."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
