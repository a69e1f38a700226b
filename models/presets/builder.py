"""What a preset tells the workers: how to build its trainer and its generator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flawsmith.models.presets.generator import PresetGenerator
from flawsmith.models.training.trainer import Trainer


@dataclass(frozen=True)
class PresetBuilder:
    """Builds the trainer and the generator of one preset. Its module exposes it as ``BUILDER``.

    The preset's overrides, with their bounds and defaults, are under the same name in
    `flawsmith.core.domain.presets.registry`.

    Attributes:
        name: of the preset.
        build_trainer: a run at its first step, of
            the configuration: resolution, channels, seed and every override of the preset, no more and no less;
            images, (N, channels, resolution, resolution) uint8 on the CPU;
            the defect type of each, (N,) int64;
            the number of defect types;
            the device for the networks.
        build_generator: the generator, with weights yet to be loaded, of
            a configuration with at least resolution, channels and what shapes the generator's weights;
            the number of defect types.
    """

    name: str
    build_trainer: Callable[[Mapping[str, Any], Tensor, Tensor, int, torch.device], Trainer]
    build_generator: Callable[[Mapping[str, Any], int], PresetGenerator]
