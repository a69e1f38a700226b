"""Priors of tiny networks, in files as `make prior` writes them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flawsmith.core.domain.priors import PriorCard
from flawsmith.models.presets.fewshot.prior_trainer import PriorTrainer
from flawsmith.worker.prior_file import save_prior, weights_digest
from flawsmith.worker.prior_training import options, prior_config

TINY: dict[str, Any] = {"latent_size": 4, "generator_width": 2, "discriminator_width": 2, "batch_size": 4}
"""Overrides of a `fewshot` job whose networks have the shape of these priors."""


def write_tiny_prior(
    folder: Path, *, resolution: int = 32, channels: int = 1, seed: int = 1, steps: int = 1
) -> PriorCard:
    """Writes a prior that learned from noise for a few steps; returns its card."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{resolution}-{'gray' if channels == 1 else 'color'}.safetensors"
    given = options().parse_args(["--steps", str(steps), "--out", str(path)])
    given.resolution, given.channels, given.seed, given.batch_size = resolution, channels, seed, TINY["batch_size"]
    given.overrides = TINY
    config = prior_config(given)
    trainer = PriorTrainer(config, torch.from_numpy(noise(8, resolution, channels)), torch.device("cpu"))
    for step in range(steps):
        trainer.step(step / steps)
    networks = trainer.prior()
    card = PriorCard(
        preset="fewshot",
        config=config,
        weights_sha256=weights_digest(networks),
        command="a test",
        seed=seed,
        pictures=8,
        steps=steps,
        images=steps * trainer.batch_size,
        seconds=0.0,
        device="a test's",
        figures={},
    )
    save_prior(networks, card, path)
    return card


def noise(count: int, side: int, channels: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, channels, side, side), np.uint8)
