"""Conversion between bytes and network values."""

import torch
from torch import Tensor, nn


def render(generator: nn.Module, latents: Tensor, type_index: Tensor) -> Tensor:
    """Samples these latents: (B, C, H, W) uint8 on the CPU. The generator's mode is restored.

    In evaluation mode batch norm uses its running statistics, so no image depends on its neighbours.
    """
    training = generator.training
    generator.eval()
    with torch.inference_mode():
        images: Tensor = generator(latents, type_index)
    generator.train(training)
    return to_bytes(images).cpu()


def to_bytes(images: Tensor) -> Tensor:
    """Values in [-1, 1] of any floating dtype to gray levels 0 … 255: uint8 of the same shape."""
    return (images.float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """Gray levels 0 … 255 to values in [-1, 1]: float32 of the same shape."""
    return images.float() / 127.5 - 1
