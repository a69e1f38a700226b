"""The same latents looked at again and again while a generator is trained."""

import torch
from torch import Tensor, nn

from flawsmith.models.pixels import render

PREVIEW_COLUMNS = 8  # fixed latents of each type in the sample grid
EVALUATED, LEAST_EVALUATED = 64, 16  # images that are compared with the photographs: in all, but at least of each type
RENDERED_AT_ONCE = 16


class FixedSamples:
    """Draws of their own, so that looking changes nothing of the run.

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
        types_in_turn = torch.arange(types).repeat(evaluated)
        self._evaluated = torch.randn(len(types_in_turn), latent_size, generator=random), types_in_turn
        columns = torch.arange(types).repeat_interleave(PREVIEW_COLUMNS)
        self._previewed = torch.randn(len(columns), latent_size, generator=random), columns

    def preview(self, generator: nn.Module) -> Tensor:
        """`PREVIEW_COLUMNS` images of each type: (types * columns, C, H, W) uint8."""
        return self._rendered(generator, *self._previewed)

    def evaluated(self, generator: nn.Module) -> list[Tensor]:
        """As many images of each type, some `EVALUATED` in all: (M, C, H, W) uint8 each."""
        images, types_in_turn = self._rendered(generator, *self._evaluated), self._evaluated[1]
        return [images[types_in_turn == each] for each in range(int(types_in_turn.max()) + 1)]

    def _rendered(self, generator: nn.Module, latents: Tensor, type_index: Tensor) -> Tensor:
        batches = zip(latents.split(RENDERED_AT_ONCE), type_index.split(RENDERED_AT_ONCE), strict=True)
        return torch.cat([render(generator, z.to(self.device), each.to(self.device)) for z, each in batches])
