"""A small U-Net that learns from annotated photographs where defects are, and labels generated images.

After Ronneberger et al. 2015 (arXiv:1505.04597), with group normalisation (Wu and He 2018, arXiv:1803.08494), which
does not depend on the other images of a batch.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.labels.training import descend, label_loss, seeded
from flawsmith.models.pixels import from_bytes
from flawsmith.models.quality.steps import Steps

WIDTHS = (8, 16, 32, 32)  # channels at the image's own resolution, at half of it, …
GROUPS = 4
STEPS = 300
BATCH = 8
LEARNING_RATE = 5e-3
LARGEST_SHIFT, LARGEST_GAIN, MOST_NOISE = 0.2, 0.25, 0.05  # of gray values from -1 to 1
AT_ONCE = 16


class Segmenter(nn.Module):
    """Images to one logit for each pixel.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_block(*each) for each in pairwise((channels, *WIDTHS)))
        self.up = nn.ModuleList(_block(coarse + fine, fine) for fine, coarse in pairwise(WIDTHS))
        self.last = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, side, side) from -1 to 1, the side a multiple of 8 -> logits, (B, side, side)."""
        kept = list[Tensor]()
        features = images
        for number, block in enumerate(self.down):
            features = block(F.avg_pool2d(features, 2) if number else features)
            kept.append(features)
        for block, fine in zip(reversed(self.up), kept[-2::-1], strict=True):
            features = block(torch.cat([F.interpolate(features, scale_factor=2.0), fine], 1))
        logits: Tensor = self.last(features).squeeze(1)
        return logits

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """(N, C, side, side) from -1 to 1 -> (N, side, side), the mean over the image's mirror images."""
        found = []
        for some in images.split(AT_ONCE):
            total = some.new_zeros(len(some), *some.shape[2:])
            for axes in ([], [2], [1], [1, 2]):
                of_image = [each + 1 for each in axes]
                total += self(some.flip(of_image)).sigmoid().flip(axes)
            found.append(total / 4)
        return torch.cat(found)


def train_segmenter(images: Tensor, masks: Tensor, seed: int, steps: int = STEPS) -> Steps[Segmenter]:
    """Trains on the CPU, in steps; the same photographs and seed give the same network.

    Args:
        images: (N, C, side, side) uint8.
        masks: (N, side, side) bool.
        seed: of first weights, batches and augmentation.
        steps: updates of the network.
    """
    network = seeded(seed, lambda: Segmenter(images.shape[1]))

    def batch(random: torch.Generator) -> Tensor:
        chosen = torch.randint(len(images), (BATCH,), generator=random)
        return label_loss(*_augmented(network, from_bytes(images[chosen]), masks[chosen].float(), random))

    yield from descend(network, batch, steps, LEARNING_RATE, seed)
    return network.eval().requires_grad_(False)


def _augmented(network: Segmenter, images: Tensor, targets: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Logits and targets of mirrored images in another light, with more noise: generated images differ so, too."""
    for axis in (1, 2):
        mirrored = torch.rand(len(images), 1, 1, generator=random) < 0.5
        images = torch.where(mirrored[:, None], images.flip(axis + 1), images)
        targets = torch.where(mirrored, targets.flip(axis), targets)
    gain, shift, noise = (torch.rand(len(images), 1, 1, 1, generator=random) for _ in range(3))
    images = images * (1 + LARGEST_GAIN * (2 * gain - 1)) + LARGEST_SHIFT * (2 * shift - 1)
    images = images + MOST_NOISE * noise * torch.randn(images.shape, generator=random)
    return network(images.clamp(-1, 1)), targets


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for each in (inputs, outputs):
        layers += [nn.Conv2d(each, outputs, 3, padding=1), nn.GroupNorm(GROUPS, outputs), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers)
