"""From a preset's name and its resolved configuration to what trains and what draws."""

from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from flawsmith.models.presets.dcgan import networks as dcgan
from flawsmith.models.presets.dcgan.trainer import DcganConfig, DcganTrainer
from flawsmith.models.presets.fewshot import networks as fewshot
from flawsmith.models.presets.fewshot.trainer import FewshotConfig, FewshotTrainer
from flawsmith.models.training.trainer import Trainer

Generator = dcgan.Generator | fewshot.Generator
Config = TypeVar("Config", DcganConfig, FewshotConfig)


def build_trainer(
    preset: str,
    config: dict[str, Any],
    images: Tensor,
    type_index: Tensor,
    types: int,
    device: torch.device,
) -> Trainer:
    """A run of the preset at its first step. For the shapes see `DcganTrainer`.

    Raises:
        KeyError, TypeError: an unknown preset, or a configuration that lacks one of its numbers.
    """
    return {"dcgan": _dcgan_trainer, "fewshot": _fewshot_trainer}[preset](config, images, type_index, types, device)


def build_generator(preset: str, config: dict[str, Any], types: int) -> Generator:
    """The preset's generator with weights yet to be loaded; it maps (B, its latent_size) and (B,) to (B, C, H, W).

    Raises:
        KeyError, TypeError: an unknown preset, or a configuration that lacks one of its numbers.
    """
    return {"dcgan": _dcgan_generator, "fewshot": _fewshot_generator}[preset](config, types)


def _dcgan_trainer(
    config: dict[str, Any], images: Tensor, type_index: Tensor, types: int, device: torch.device
) -> Trainer:
    return DcganTrainer(config_numbers(DcganConfig, config), images, type_index, types, device)


def _fewshot_trainer(
    config: dict[str, Any], images: Tensor, type_index: Tensor, types: int, device: torch.device
) -> Trainer:
    return FewshotTrainer(config_numbers(FewshotConfig, config), images, type_index, types, device)


def _dcgan_generator(config: dict[str, Any], types: int) -> Generator:
    return dcgan.Generator(
        config["resolution"], config["channels"], config["latent_size"], config["generator_depth"], types
    )


def _fewshot_generator(config: dict[str, Any], types: int) -> Generator:
    return fewshot.Generator(
        config["resolution"], config["channels"], config["latent_size"], config["generator_width"], types
    )


def config_numbers(kind: type[Config], config: dict[str, Any]) -> Config:
    """Those numbers of a resolved configuration that a run of this kind takes.

    Raises:
        TypeError: one is not there.
    """
    return kind(**{field.name: config[field.name] for field in fields(kind) if field.name in config})
