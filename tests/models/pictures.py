"""Made-up photographs for the tests: uint8, no download."""

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 32


def streaks(seed: int, count: int = 120) -> Tensor:
    """Vertical streaks under grain: (count, 1, SIDE, SIDE) uint8."""
    random = torch.Generator().manual_seed(seed)
    columns = F.avg_pool2d(torch.randn(count, 1, 1, SIDE + 4, generator=random), (1, 5), 1).expand(-1, -1, SIDE, -1)
    grain = torch.randn(count, 1, SIDE, SIDE, generator=random)
    return (128 + 60 * columns + 12 * grain).clamp(0, 255).to(torch.uint8)


def blots(seed: int, count: int = 40) -> Tensor:
    """A dark blot of random place, size and depth on grain: (count, 1, SIDE, SIDE) uint8."""
    random = torch.Generator().manual_seed(seed)
    x, y, radius, depth = torch.rand(4, count, 1, 1, generator=random)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    away = torch.hypot(columns - SIDE * x, rows - SIDE * y)
    blot = (40 + 80 * depth) * torch.exp(-((away / (3 + 8 * radius)) ** 2))
    return (150 + 15 * torch.randn(count, SIDE, SIDE, generator=random) - blot).clamp(0, 255).byte()[:, None]


def blurred(images: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(images.float(), (1, 1, 1, 1), "replicate"), 3, 1).to(torch.uint8)


def brighter(images: Tensor) -> Tensor:
    return (images.int() + 20).clamp(0, 255).to(torch.uint8)


def noise(count: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, SIDE, SIDE), generator=random, dtype=torch.uint8)
