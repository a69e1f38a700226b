"""From a preset's name and its resolved configuration to what trains and what draws."""

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from models.dcgan import Generator
from models.trainer import DcganConfig, Trainer


def build_trainer(
    preset: str,
    config: dict[str, Any],
    images: Tensor,
    type_index: Tensor,
    types: int,
    device: torch.device,
) -> Trainer:
    """A run of the preset at its first step. For the shapes see `Trainer`.

    Raises:
        KeyError: an unknown preset, or a configuration that lacks one of its numbers.
    """
    return {"dcgan": Trainer}[preset](_numbers(config), images, type_index, types, device)


def build_generator(preset: str, config: dict[str, Any], types: int) -> nn.Module:
    """The preset's generator with weights yet to be loaded; it maps (B, latent_size) and (B,) to (B, C, H, W).

    Raises:
        KeyError: an unknown preset, or a configuration that lacks one of its numbers.
    """
    numbers = _numbers(config)
    return {"dcgan": Generator}[preset](
        numbers.resolution, numbers.channels, numbers.latent_size, numbers.generator_depth, types
    )


def _numbers(config: dict[str, Any]) -> DcganConfig:
    return DcganConfig(**{field.name: config[field.name] for field in fields(DcganConfig)})
