"""Trains a prior: the networks of `fewshot`, on many drawn surfaces of one type."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.prior_weights import fitted, shared_weights
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.training.state import copied_weights
from flawsmith.models.training.trainer import Networks


class PriorTrainer(FewshotTrainer):
    """A `FewshotTrainer` for tens of thousands of pictures and large batches.

    No picture is held out and no symmetry is tested: both compare all pictures with all others. Latents are drawn on
    the device, since the CPU takes longer to draw those of a large batch than a GPU takes for the step.

    Args:
        config: exactly ``resolution``, ``channels``, ``seed`` and the preset's overrides.
        pictures: (N, channels, resolution, resolution) uint8, on the CPU.
        device: where the networks live, and a copy of the pictures.
    """

    def __init__(self, config: Mapping[str, Any], pictures: Tensor, device: torch.device) -> None:
        types = torch.zeros(len(pictures), dtype=torch.int64)
        none = torch.zeros(len(pictures), dtype=torch.bool)
        super().__init__(FewshotConfig(**config), pictures, types, 1, device, held_out=none)
        self.postpone_tests()  # and never makes them
        self._random_on_device = torch.Generator(device)

    def prior(self) -> Networks:
        """What a job can start from: the weights of the averaged generator and of the discriminator, on the CPU."""
        return shared_weights(self.networks())

    def start_from(self, prior: Networks) -> list[str]:
        """Takes over all weights of another prior that fit; returns the names of those that do not.

        A gray prior's weights for the image are repeated for each colour, so that both begin with gray images.
        """
        generator, left_of_generator = fitted(copied_weights(self.generator), prior["generator"])
        discriminator, left = fitted(copied_weights(self.discriminator), prior["discriminator"])
        self.load_networks({"generator": generator, "discriminator": discriminator})
        return [f"generator.{name}" for name in left_of_generator] + [f"discriminator.{name}" for name in left]

    def _draw_latents(self, count: int) -> Tensor:
        self._random_on_device.manual_seed(self.config.seed * 1_000_000_007 + self.completed_steps)
        shape = count, self.generator.latent_size
        return torch.randn(shape, generator=self._random_on_device, device=self.device)
