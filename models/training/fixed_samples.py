"""Samples of the same latents at every evaluation."""

import torch
from torch import Tensor, nn

from flawsmith.models.pixels import render
from flawsmith.models.presets.generator import PresetGenerator

PREVIEW_COLUMNS = 8  # samples of each type in the sample grid
EVALUATED, LEAST_EVALUATED = 64, 16  # samples that are measured: of all types together, but at least of each type
BATCH = 16


class FixedSamples:
    """Latents with a random generator of their own: sampling them does not affect the run.

    Args:
        types: number of defect types.
        latent_size: length of a latent.
        seed: of the latents.
        device: where the generator lives.
    """

    def __init__(self, types: int, latent_size: int, seed: int, device: torch.device) -> None:
        self.device = device
        random = torch.Generator().manual_seed(seed)
        evaluated = max(LEAST_EVALUATED, EVALUATED // types)
        interleaved = torch.arange(types).repeat(evaluated)
        self._evaluated = torch.randn(len(interleaved), latent_size, generator=random), interleaved
        rows = torch.arange(types).repeat_interleave(PREVIEW_COLUMNS)
        self._previewed = torch.randn(len(rows), latent_size, generator=random), rows

    def preview(self, generator: nn.Module) -> Tensor:
        """`PREVIEW_COLUMNS` samples of each type: (types * columns, C, H, W) uint8."""
        return self._render(generator, *self._previewed)

    def preview_masks(self, generator: PresetGenerator) -> Tensor:
        """Where the samples of `preview` show a defect, by a generator with masks: (types * columns, 1, H, W) uint8."""
        latents, type_index = (each.to(self.device) for each in self._previewed)
        with torch.inference_mode():
            made = generator.with_masks(latents, type_index)[:, -1:]
        return (made >= 0).to(torch.uint8).cpu() * 255

    def evaluated(self, generator: nn.Module) -> list[Tensor]:
        """Equally many samples of each type, about `EVALUATED` in all: (M, C, H, W) uint8 each."""
        images, type_index = self._render(generator, *self._evaluated), self._evaluated[1]
        return [images[type_index == each] for each in range(int(type_index.max()) + 1)]

    def _render(self, generator: nn.Module, latents: Tensor, type_index: Tensor) -> Tensor:
        batches = zip(latents.split(BATCH), type_index.split(BATCH), strict=True)
        return torch.cat([render(generator, z.to(self.device), each.to(self.device)) for z, each in batches])
