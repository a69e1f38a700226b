"""Small runs of the preset for few photographs, and what they train on."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer

CONFIG = FewshotConfig(
    resolution=32,
    channels=1,
    seed=3,
    latent_size=8,
    generator_width=2,
    discriminator_width=4,
    learning_rate=4e-4,
    gradient_penalty=5.0,
    ema_half_life_images=10_000,
    augment_probability=0.7,
    augment_shift=0.125,
    augment_brightness=0.2,
    augment_contrast=0.25,
    horizontal_flip=None,
    vertical_flip=None,
    transposition=None,
    batch_size=4,
    cuda_graph=False,
    direction=False,
    wavelet=False,
    narrow_ends=False,
    kinds=1,
)

# As new jobs are below 128 pixels and from there on; and as an earlier release's at 128 pixels.
DIRECTED = replace(CONFIG, direction=True)
NARROW = replace(DIRECTED, narrow_ends=True)
KINDS = replace(DIRECTED, kinds=2)  # as on many photographs
WAVELET = replace(DIRECTED, wavelet=True)


def noise(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def scratches(count: int) -> Tensor:
    """Bright upright lines on fine grain."""
    images = 100 + noise(count) // 16
    images[torch.arange(count), :, :, torch.arange(count) % 28 + 2] = 230
    return images


def trainer(
    config: FewshotConfig = CONFIG,
    types: int = 2,
    count: int = 10,
    device: str = "cpu",
    photographs: Tensor | None = None,
) -> FewshotTrainer:
    images = noise(count) if photographs is None else photographs
    return FewshotTrainer(config, images, torch.arange(len(images)) % types, types, torch.device(device))


def slanted(count: int, degrees: float) -> Tensor:
    """Bright lines at an angle, counter-clockwise from level."""
    rows, columns = torch.meshgrid(torch.arange(32.0) - 16, torch.arange(32.0) - 16, indexing="ij")
    along = math.radians(degrees)
    away = columns * math.sin(along) + rows * math.cos(along) - torch.linspace(-8, 8, count)[:, None, None]
    return (60 + 150 * torch.exp(-away.square())).byte()[:, None]
