"""Chooses the precision in which a generator samples once it is published."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flawsmith.core.domain.micro_batch import MICRO_BATCH
from flawsmith.models.inference.latents import latent
from flawsmith.models.inference.session import Precision, native_precisions, qualified_precision
from flawsmith.models.presets.registry import generator_with_weights

IMAGES = 256  # on which a faster precision must agree with float32


def qualify(preset: str, config: dict[str, Any], weights: Mapping[str, Tensor], device: torch.device) -> Precision:
    """The precision for a generator with these weights on this kind of device; see `qualified_precision`."""
    classes: list[str] = config["classes"]
    generator = generator_with_weights(preset, config, len(classes), weights)
    types = [seed % len(classes) for seed in range(IMAGES)]
    latents = torch.stack([latent(seed, classes[each], generator.latent_size) for seed, each in enumerate(types)])
    candidates = native_precisions(device)
    return qualified_precision(generator, latents, torch.tensor(types), MICRO_BATCH, device, candidates)
