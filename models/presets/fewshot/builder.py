"""Builds the trainer and the generator of the preset `fewshot`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flawsmith.models.presets.builder import PresetBuilder
from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.networks import Generator
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer
from flawsmith.models.training.holdout import HoldoutRule, holdout, holdout_by_rule
from flawsmith.models.training.photograph_masks import PhotographMasks


def build_trainer(
    config: Mapping[str, Any],
    images: Tensor,
    type_index: Tensor,
    types: int,
    device: torch.device,
    photograph: Tensor,
    held_out: Tensor | None = None,
    masks: PhotographMasks | None = None,
) -> FewshotTrainer:
    """Raises TypeError, with the name of the field, if the configuration lacks one or has an unknown one."""
    numbers = FewshotConfig(**config)
    return FewshotTrainer(numbers, images, type_index, types, device, photograph, held_out=held_out, masks=masks)


def build_generator(config: Mapping[str, Any], types: int) -> Generator:
    return Generator(
        config["resolution"],
        config["channels"],
        config["latent_size"],
        config["generator_width"],
        types,
        config.get("direction", False),  # versions that earlier releases published lack these and the kinds
        config.get("wavelet", False),
        config.get("narrow_ends", False),
        config.get("labels") == "mask",
        config.get("kinds") or 1,
    )


def held_out(
    config: Mapping[str, Any],
    images: Tensor,
    type_index: Tensor,
    types: int,
    photograph: Tensor,
    rule: HoldoutRule | None = None,
) -> Tensor:
    if rule is None:
        return holdout(images, type_index, types, config["seed"], photograph)
    return holdout_by_rule(images, type_index, types, config["seed"], photograph, rule)


BUILDER = PresetBuilder("fewshot", build_trainer, build_generator, held_out, follows_rules=True, learns_masks=True)
