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
        name: the preset's name.
        build_trainer: makes a trainer at its first step. Arguments: a configuration of exactly ``resolution``,
            ``channels``, ``seed`` and the preset's overrides; images, (N, channels, resolution, resolution) uint8 on
            the CPU; the defect type of each image, (N,) int64; the number of types; the device for the networks.
        build_generator: makes a generator of random weights. Arguments: a configuration with at least ``resolution``,
            ``channels`` and the overrides that shape the generator; the number of types.
    """

    name: str
    build_trainer: Callable[[Mapping[str, Any], Tensor, Tensor, int, torch.device], Trainer]
    build_generator: Callable[[Mapping[str, Any], int], PresetGenerator]
