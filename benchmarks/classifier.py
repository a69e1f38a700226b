"""A classifier of defect types, trained on photographs, that judges what generated images show."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.models.pixels import from_bytes

EPOCHS, BATCH = 40, 32
WIDTHS = (32, 64, 128, 128)  # channels of each convolution; each halves the side
MAX_SHIFT = 4  # pixels


def train_classifier(photographs: Tensor, type_index: Tensor, types: int) -> nn.Module:
    """Trains a network from images (as `from_bytes` returns them) to type logits.

    Args:
        photographs: (N, C, side, side) uint8.
        type_index: (N,) int64, the type of each.
        types: number of types.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _network(photographs.shape[1], types)
        optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, EPOCHS * -(-len(photographs) // BATCH))
        for _ in range(EPOCHS):
            for chosen in torch.randperm(len(photographs)).split(BATCH):
                images = _shifted(from_bytes(photographs[chosen]))
                loss = F.cross_entropy(network(images), type_index[chosen], label_smoothing=0.1)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return network.eval()


def share_classified_as(network: nn.Module, images: Tensor, type_index: int) -> float:
    """Share of (N, C, side, side) uint8 images that the network classifies as the type."""
    with torch.no_grad():
        named = torch.cat([network(from_bytes(some)).argmax(1) for some in images.split(BATCH)])
    return (named == type_index).float().mean().item()


def _network(channels: int, types: int) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in zip((channels, *WIDTHS), WIDTHS, strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(WIDTHS[-1], types))


def _shifted(images: Tensor) -> Tensor:
    down, right = torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (2,)).tolist()
    contrast = 1 + 0.2 * torch.randn(len(images), 1, 1, 1)
    return images.roll((down, right), (2, 3)) * contrast
