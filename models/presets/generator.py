"""What the generator of every preset has in common."""

from torch import nn


class PresetGenerator(nn.Module):
    """A network that makes images of latents and defect types.

    It maps (B, latent_size) float32 and (B,) int64 to (B, C, H, W) float32, where photographs are in [-1, 1].
    """

    latent_size: int
