"""Builds the trainer and the generator of the preset `dcgan`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flawsmith.models.presets.builder import PresetBuilder
from flawsmith.models.presets.dcgan.networks import Generator
from flawsmith.models.presets.dcgan.trainer import DcganConfig, DcganTrainer


def build_trainer(
    config: Mapping[str, Any],
    images: Tensor,
    type_index: Tensor,
    types: int,
    device: torch.device,
    _photograph: Tensor,
) -> DcganTrainer:
    """Raises TypeError, with the name of the field, if the configuration lacks one or has an unknown one."""
    return DcganTrainer(DcganConfig(**config), images, type_index, types, device)


def build_generator(config: Mapping[str, Any], types: int) -> Generator:
    return Generator(config["resolution"], config["channels"], config["latent_size"], config["generator_depth"], types)


BUILDER = PresetBuilder("dcgan", build_trainer, build_generator)
