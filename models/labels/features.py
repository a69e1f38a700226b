"""The feature maps from which a frozen generator makes an image: what per-pixel labels are learned from.

After DatasetGAN (Zhang et al. 2021, arXiv:2104.06490) and RepurposeGANs (Tritrong et al. 2021, arXiv:2103.04379): a
generator that makes a defect knows where it makes it, so that few labelled images teach the rest.
"""

import copy
import threading

import torch
from torch import Tensor, nn

from flawsmith.models.presets.generator import PresetGenerator


class FeatureMaps:
    """A copy of a generator, in evaluation mode and float32, that gives images with their feature maps.

    Args:
        generator: of a preset.
        device: where it works.

    Attributes:
        widths: channels of each map, from coarse to fine; empty where the preset shows none.
        channels: of the images.
    """

    def __init__(self, generator: PresetGenerator, device: torch.device) -> None:
        self.network = copy.deepcopy(generator).eval().float().requires_grad_(False).to(device)
        self.device = device
        self._kept = threading.local()  # several threads sample at once
        for layer in self.network.feature_layers():
            layer.register_forward_hook(self._keep)
        latents = torch.zeros(1, generator.latent_size)
        images, maps = self(latents, torch.zeros(1, dtype=torch.int64))
        self.widths, self.channels = [each.shape[1] for each in maps], images.shape[1]

    def __call__(
        self, latents: Tensor, type_index: Tensor, angles: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Makes images. May be called from several threads at once.

        Args:
            latents: (B, L) float32.
            type_index: (B,) int64.
            angles: (B, 2) float32, see `PresetGenerator.drawn_directions`; None: every angle.

        Returns:
            Images, (B, C, side, side) from -1 to 1, and feature maps (B, W, S, S), all float32 on the device.
        """
        self._kept.maps = []
        with torch.no_grad():
            images: Tensor = self.network(*self._inputs(latents, type_index, angles)).clamp(-1, 1)
        return images, self._kept.maps

    def masks(self, latents: Tensor, type_index: Tensor, angles: Tensor | None = None) -> Tensor:
        """What a generator that learned masks makes beside images: above zero is the defect. As `__call__`.

        Returns:
            (B, side, side) float32.
        """
        self._kept.maps = []
        with torch.no_grad():
            return self.network.with_masks(*self._inputs(latents, type_index, angles))[:, -1]

    def _inputs(self, latents: Tensor, type_index: Tensor, angles: Tensor | None) -> list[Tensor]:
        """Those of the generator, with the directions of the images where it takes any."""
        latents, type_index = latents.to(self.device), type_index.to(self.device)
        if not self.network.direction:
            return [latents, type_index]
        angles = None if angles is None else angles.to(self.device)
        return [latents, type_index, self.network.drawn_directions(latents, type_index, angles)]

    def _keep(self, _layer: nn.Module, _given: object, made: Tensor) -> None:
        self._kept.maps.append(made)
