"""Generator and discriminator for few photographs: residual, without normalisation, with grain from noise inputs.

After R3GAN (Huang et al. 2024, arXiv:2501.05441, section 4): residual branches that begin at zero, no normalisation,
resampling by a low-pass filter, so that no layer's grid shows. Five things are different, for small images on a CPU:

- the generator's branches are two plain 3x3 convolutions;
- the discriminator halves by strided 4x4 convolutions, as DCGAN does (Radford et al. 2015, arXiv:1511.06434), after
  one 3x3 convolution of the image as it is: without, it is half blind for single pixels, and grain becomes a weave;
- noise of places comes in at 32 pixels a side and more, and once more just before the images, since the grain of metal
  is random and would otherwise have to be made of the latent (Karras et al. 2018, arXiv:1812.04948, section 3.2);
- what rolling leaves on metal, and what scratches it, runs straight, and convolutions bend what is long: noise that is
  the same all along a row, or a column, comes in at every resolution, each block is told the means of its features'
  rows and columns (strip pooling: Hou et al. 2020, arXiv:2003.13328), and there is no noise of places below 32 pixels;
- the style scales channels and noise at every resolution, not at the first alone (as there, section 3, but without
  normalising): images differ in which way their lines run and how strong their grain is.

No image depends on the others of its batch: there are no batch statistics anywhere.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.presets.generator import PresetGenerator

SMALLEST = 4  # height and width of the generator's first and the discriminator's last feature map, in pixels
# How many times the channels of the narrowest feature maps the widest have. Detail is where the generator is short of
# channels, and coarse layout where the discriminator is.
GENERATOR_WIDEST, DISCRIMINATOR_WIDEST = 4, 8
SLOPE = 0.2  # of the leaky rectifiers, for negative values
GRAIN_FROM = 32  # side of the first feature maps that have noise of places; at fewer pixels it bends lines
FIRST_NOISE = 0.1  # standard deviation of the noise that is added at first, in every channel


def resolutions(resolution: int) -> list[int]:
    """Sides of the feature maps, from 4 to the image's."""
    return [SMALLEST * 2**level for level in range(int(math.log2(resolution // SMALLEST)) + 1)]


def noise_size(resolution: int) -> int:
    """How many noise values an image takes: `places_rows_columns` of each resolution above the first."""
    return sum(noise_sizes(resolution))


def noise_sizes(resolution: int) -> list[int]:
    """The same, of each resolution."""
    return [sum(places_rows_columns(side)) for side in resolutions(resolution)[1:]]


def places_rows_columns(side: int) -> list[int]:
    """Noise values of a feature map: one a place, where it has grain, then one a row, one a column."""
    return [side**2 if side >= GRAIN_FROM else 0, side, side]


def one_hot(type_index: Tensor, types: int, dtype: torch.dtype) -> Tensor:
    """(B,) int64 -> (B, types)."""
    return F.one_hot(type_index, types).to(dtype)


class Generator(PresetGenerator):
    """Latents to images.

    Args:
        resolution: side of the images in pixels, a power of two from 32.
        channels: 1 (gray) or 3 (RGB).
        style_size: how many of a latent's numbers are the style; the others are the noise of grain and lines.
        width: channels at the image's own resolution; doubled at each one below, up to `GENERATOR_WIDEST` times.
        types: number of defect types.

    Attributes:
        latent_size: length of a latent, ``style_size`` + `noise_size`; each number is standard normal.
        conditioning: 0 … 1, how much the type matters (Shahbazi et al. 2022, arXiv:2201.06578: a small set is learnt
            without its types first, else the images of a type become one).
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
        self.doublings = nn.ModuleList(Doubling(wide, narrow) for wide, narrow in pairwise(widths))
        self.blocks = nn.ModuleList(
            NoisyResidual(side, wide, 2 * style_size) for side, wide in zip(self.sides[1:], widths[1:], strict=True)
        )
        self.grain = nn.Linear(2 * style_size, widths[-1])  # how strong the noise before the last convolution is
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)
        self.register_buffer("conditioning", torch.zeros(()))
        nn.init.normal_(self.embedding.weight)
        _initialise(self.first, 1.0)
        _initialise(self.last, 1.0)
        nn.init.zeros_(self.grain.weight)
        nn.init.constant_(self.grain.bias, FIRST_NOISE)

    def forward(self, latents: Tensor, type_index: Tensor) -> Tensor:
        """(B, latent_size) and (B,) int64 -> (B, channels, resolution, resolution), of the same dtype.

        Photographs are in [-1, 1]; images may reach beyond, and are to be clamped.
        """
        style, *noise = latents.split([self.style_size, *noise_sizes(self.sides[-1])], 1)
        told = self.conditioning * one_hot(type_index, self.types, latents.dtype)
        styled = torch.cat([style, self.embedding(told)], 1)
        features = self.first(styled).unflatten(1, (-1, SMALLEST, SMALLEST))
        for double, block, its_noise in zip(self.doublings, self.blocks, noise, strict=True):
            features = block(double(features), its_noise, styled)
        side = self.sides[-1]
        places = noise[-1][:, : side**2].view(-1, 1, side, side)
        features = features + self.grain(styled)[:, :, None, None] * places
        images: Tensor = self.last(F.leaky_relu(features, SLOPE))
        return images


class Doubling(nn.Module):
    """Feature maps of twice the side and other channels: 1x1 convolution, then the low-pass filter [1, 3, 3, 1]."""

    low_pass: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.change = nn.Conv2d(inputs, outputs, 1, bias=False)
        # Of each axis's four taps two meet a value at any place, so they sum to 2 on each axis.
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("low_pass", torch.outer(taps, taps).repeat(outputs, 1, 1, 1), persistent=False)
        _initialise(self.change, 1.0)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, S, S) -> (B, outputs, 2 S, 2 S)."""
        changed = self.change(features)
        low_pass = self.low_pass.to(changed.dtype)
        return F.conv_transpose2d(changed, low_pass, stride=2, padding=1, groups=len(low_pass))


class NoisyResidual(nn.Module):
    """Adds to feature maps what two 3x3 convolutions make of them, of their rows' and columns' means, and of noise.

    At first it adds nothing. Between the convolutions the style says, for each channel, how strong the noise of places,
    of rows and of columns is and by what the sum is multiplied.
    """

    def __init__(self, side: int, width: int, style_size: int) -> None:
        super().__init__()
        self.noise_sizes = places_rows_columns(side)
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
        """(B, width, S, S), (B, sum of `places_rows_columns`), (B, style_size) -> (B, width, S, S)."""
        width, side = features.shape[1:3]
        places, rows, columns = noise.split(self.noise_sizes, 1)
        gain, along_rows, along_columns, *grainy = self.styling(style)[:, :, None, None].split(width, 1)
        of_rows = self.of_rows(features.mean(3, keepdim=True)) + along_rows * rows.view(-1, 1, side, 1)
        of_columns = self.of_columns(features.mean(2, keepdim=True)) + along_columns * columns.view(-1, 1, 1, side)
        inner = self.before(F.leaky_relu(features, SLOPE)) + of_rows + of_columns
        if grainy:
            inner = inner + grainy[0] * places.view(-1, 1, side, side)
        changed: Tensor = features + self.after(F.leaky_relu(gain * inner, SLOPE))
        return changed


class Discriminator(nn.Module):
    """Images to one logit each: convolutions and leaky rectifiers, then the inner product with a head.

    The head is one for all types plus, as the generator's `conditioning` says, one for the image's type, which is zero
    at first (projection: Miyato, Koyama 2018, arXiv:1802.05637, section 3).

    Around almost every image the network is linear, which `models/discriminator_pass.py` uses.

    Args:
        resolution: side of the images in pixels, a power of two from 32.
        channels: 1 (gray) or 3 (RGB).
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
        """(B,) int64 -> (B, features), what the logit is the inner product of the features with."""
        told = self.conditioning * one_hot(type_index, self.types, self.head.weight.dtype)
        heads: Tensor = self.head.weight + self.heads_by_type(told)
        return heads


def _initialise(layer: nn.Module, gain: float) -> None:
    """Normal weights that keep the values' variance times gain squared (He et al. 2015, arXiv:1502.01852); no bias."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
