"""Builds the trainer and the generator of the preset `fewshot`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flawsmith.models.presets.builder import PresetBuilder
from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.networks import Generator
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.training.holdout import holdout


def build_trainer(
    config: Mapping[str, Any], images: Tensor, type_index: Tensor, types: int, device: torch.device
) -> FewshotTrainer:
    """Raises TypeError, with the name of the field, if the configuration lacks one or has an unknown one."""
    return FewshotTrainer(FewshotConfig(**config), images, type_index, types, device)


def build_generator(config: Mapping[str, Any], types: int) -> Generator:
    return Generator(
        config["resolution"],
        config["channels"],
        config["latent_size"],
        config["generator_width"],
        types,
        config.get("direction", False),  # cards of earlier releases have neither
        config.get("wavelet", False),
    )


def held_out(config: Mapping[str, Any], images: Tensor, type_index: Tensor, types: int) -> Tensor:
    return holdout(images, type_index, types, config["seed"])


BUILDER = PresetBuilder("fewshot", build_trainer, build_generator, held_out)
