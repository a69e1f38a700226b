"""Conversion between images in [-1, 1] and 8-bit pixels."""

import torch
from torch import Tensor, nn


def render(generator: nn.Module, latents: Tensor, type_index: Tensor) -> Tensor:
    """Samples a generator as it is: (B, C, H, W) uint8 on the CPU. The generator's mode stays as it was.

    The pass is in evaluation mode: batch norm uses its running statistics, so no image depends on the others.
    """
    training = generator.training
    generator.eval()
    with torch.inference_mode():
        images: Tensor = generator(latents, type_index)
    generator.train(training)
    return to_bytes(images).cpu()


def to_bytes(images: Tensor) -> Tensor:
    """Values in [-1, 1] of any floating dtype to pixels 0 … 255: uint8 of the same shape."""
    return (images.float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def from_bytes(images: Tensor) -> Tensor:
    """Pixels 0 … 255 to values in [-1, 1]: torch's default dtype, float32, of the same shape."""
    return images.to(torch.get_default_dtype()) / 127.5 - 1
