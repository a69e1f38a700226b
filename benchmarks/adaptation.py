"""What others do when they train a network further on few photographs, tried on `fewshot`.

It holds for CPUs: a recorded CUDA graph would not see it.
"""

from collections.abc import Callable
from typing import Any

import torch

from flawsmith.models.presets.fewshot.trainer import FewshotTrainer

FROZEN_CONVOLUTIONS = 2  # of the discriminator, from the image on: its finest features
SLOWNESS = 0.5
PULL = 0.0005  # of the way back, after each step


def _freeze(trainer: FewshotTrainer) -> None:
    """FreezeD, arXiv:2002.10964: the discriminator's first convolutions stay as the start has them."""
    frozen = {
        id(each) for layer in trainer.discriminator.convolutions[:FROZEN_CONVOLUTIONS] for each in layer.parameters()
    }
    for group in trainer.discriminator_optimiser.param_groups:
        group["params"] = [each for each in group["params"] if id(each) not in frozen]


def _slow(trainer: FewshotTrainer) -> None:
    """The discriminator learns more slowly than the generator."""

    def slow_down(optimiser: Any, *_: Any) -> None:
        for group in optimiser.param_groups:
            group["lr"] *= SLOWNESS  # the schedule sets it anew before each step

    trainer.discriminator_optimiser.register_step_pre_hook(slow_down)


def _pull(trainer: FewshotTrainer) -> None:
    """The generator is drawn towards the start (as L2-SP, arXiv:1802.01483; EWC weighs each number by its use)."""
    weights: list[torch.Tensor] = list(trainer.generator.parameters())
    start = [each.detach().clone() for each in weights]

    def pull_back(*_: Any) -> None:
        with torch.no_grad():
            torch._foreach_lerp_(weights, start, PULL)

    trainer.generator_optimiser.register_step_post_hook(pull_back)


ADAPTATIONS: dict[str, Callable[[FewshotTrainer], None]] = {"freeze": _freeze, "slow": _slow, "pull": _pull}
"""By name. To be applied to a trainer that was given its start."""
