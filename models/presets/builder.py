"""What a preset tells the workers: how to build its trainer and its generator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flawsmith.models.presets.generator import PresetGenerator
from flawsmith.models.training.trainer import Trainer


def _none_held_out(
    _config: Mapping[str, Any], images: Tensor, _type_index: Tensor, _types: int, _photograph: Tensor
) -> Tensor:
    return torch.zeros(len(images), dtype=torch.bool)


@dataclass(frozen=True)
class PresetBuilder:
    """Builds the trainer and the generator of one preset. Its module exposes it as ``BUILDER``.

    A preset without networks has neither.

    The preset's overrides, with their bounds and defaults, are under the same name in
    `flawsmith.core.domain.presets.registry`.

    Attributes:
        name: the preset's name.
        build_trainer: makes a trainer at its first step. Arguments: a configuration of exactly ``resolution``,
            ``channels``, ``seed`` and the preset's overrides; images, (N, channels, resolution, resolution) uint8 on
            the CPU; the defect type of each image, (N,) int64; the number of types; the device for the networks;
            for each image the number of its photograph, (N,) int64: a photograph may be cut into several.
        build_generator: makes a generator of random weights. Arguments: a configuration with at least ``resolution``,
            ``channels`` and the overrides that shape the generator; the number of types.
        held_out: which photographs its trainer never trains on, (N,) bool. Arguments: as those of
            ``build_trainer``, without the device.
        follows_rules: whether ``held_out`` takes a `HoldoutRule` as its last argument, and ``build_trainer`` what it
            answered. Otherwise what a rule keeps held out is left out of the images.
        learns_masks: whether ``build_trainer`` takes `PhotographMasks` of the images as ``masks``, by name, which the
            generator then learns to make as well. ``build_generator`` receives ``labels`` "mask" for it.
    """

    name: str
    build_trainer: Callable[..., Trainer] | None = None
    build_generator: Callable[[Mapping[str, Any], int], PresetGenerator] | None = None
    held_out: Callable[..., Tensor] = _none_held_out
    follows_rules: bool = False
    learns_masks: bool = False
