"""In which precision a generator may draw once it is published."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from flawsmith.core.live.sampling_queue import MICRO_BATCH
from flawsmith.models.inference.session import Precision, qualified_precision
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.latents import latent

IMAGES = 256  # on which a faster precision must agree with float32


def qualify(preset: str, config: dict[str, Any], weights: Mapping[str, Tensor], device: torch.device) -> Precision:
    """The precision for a generator of these weights on this kind of device; see `qualified_precision`."""
    classes: list[str] = config["classes"]
    generator = build_generator(preset, config, len(classes))
    generator.load_state_dict(dict(weights))
    types = [seed % len(classes) for seed in range(IMAGES)]
    latents = [latent(seed, classes[each], generator.latent_size) for seed, each in enumerate(types)]
    return qualified_precision(generator, torch.stack(latents), torch.tensor(types), MICRO_BATCH, device)
