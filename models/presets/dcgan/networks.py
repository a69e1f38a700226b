"""DCGAN (Radford, Metz, Chintala 2015, arXiv:1511.06434) as the 2019 article on steel scratches trained it.

The discriminator's convolutions have spectral normalisation (Miyato et al. 2018, arXiv:1802.05957). With several defect
types both networks are conditioned on the type, as in conditional GANs (Mirza, Osindero 2014, arXiv:1411.1784): one-hot
values are appended to the latent, one-hot planes to the image. With one type the networks are exactly the article's.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.presets.dcgan.spectral_convolution import SpectralConvolution
from flawsmith.models.presets.generator import PresetGenerator

SMALLEST = 4  # height and width of the generator's first and the discriminator's last feature map, in pixels


def widths(depth: int, resolution: int) -> list[int]:
    """Channels of the feature maps from the largest (resolution / 2) down to 4x4: depth, 2 depth, 4 depth, …"""
    return [depth * 2**level for level in range(int(math.log2(resolution // SMALLEST)))]


def one_hot_channels(types: int) -> int:
    """Channels of the one-hot type: none if there is only one type."""
    return types if types > 1 else 0


def one_hot(type_index: Tensor, channels: int) -> Tensor:
    """(B,) int64 -> (B, channels) float32; with no channels, (B, 0)."""
    return F.one_hot(type_index, max(channels, 1))[:, :channels].float()


class Generator(PresetGenerator):
    """Latents to images by transposed convolutions, each doubling the side.

    Args:
        resolution: side of the images in pixels, a power of two from 32.
        channels: of the images.
        latent_size: length of a latent.
        depth: channels of the last hidden layer; each layer before it has twice as many.
        types: number of defect types.
    """

    def __init__(self, resolution: int, channels: int, latent_size: int, depth: int, types: int) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.label_channels = one_hot_channels(types)
        hidden = widths(depth, resolution)[::-1]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent_size + self.label_channels, hidden[0], 4, 1, 0, bias=False),
            nn.BatchNorm2d(hidden[0]),
            nn.ReLU(inplace=True),
        ]
        for wide, narrow in pairwise(hidden):
            layers += [
                nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(hidden[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, latents: Tensor, type_index: Tensor) -> Tensor:
        """(B, latent_size) float32 and (B,) int64 -> (B, channels, resolution, resolution) float32 in [-1, 1]."""
        conditioned = torch.cat([latents, one_hot(type_index, self.label_channels)], 1)
        images: Tensor = self.layers(conditioned[:, :, None, None])
        return images

    def feature_layers(self) -> list[nn.Module]:
        return [each for each in self.layers if isinstance(each, nn.ReLU)]


class Discriminator(nn.Module):
    """Images to one logit each by convolutions, each halving the side.

    Args:
        resolution: side of the images in pixels, a power of two from 32.
        channels: of the images.
        depth: channels of the first hidden layer; each layer after it has twice as many.
        types: number of defect types.
    """

    def __init__(self, resolution: int, channels: int, depth: int, types: int) -> None:
        super().__init__()
        self.label_channels = one_hot_channels(types)
        hidden = widths(depth, resolution)
        layers: list[nn.Module] = [
            SpectralConvolution(channels + self.label_channels, hidden[0], 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for narrow, wide in pairwise(hidden):
            layers += [
                SpectralConvolution(narrow, wide, 2, 1),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers.append(SpectralConvolution(hidden[-1], 1, 1, 0))
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, images: Tensor, type_index: Tensor) -> Tensor:
        """(B, channels, resolution, resolution) float32 in [-1, 1] and (B,) int64 -> (B,) float32 logits."""
        planes = one_hot(type_index, self.label_channels)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        logits: Tensor = self.layers(torch.cat([images, planes], 1))
        return logits.flatten()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
