"""What others do when they train a network further on few photographs, tried on `fewshot`.

It holds for CPUs: a recorded CUDA graph would not see it.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from flawsmith.models.presets.fewshot.networks import Generator
from flawsmith.models.presets.fewshot.trainer import FewshotTrainer

FROZEN_CONVOLUTIONS = 2  # of the discriminator, from the image on: its finest features
SLOWNESS = 0.5
PULL = 0.0005  # of the way back, after each step
FISHER_BATCHES, FISHER_BATCH = 64, 16
ANCHORS = 8  # images of a batch that are compared with one another
CORRESPONDENCE = 1000.0  # weight of the loss, as in the paper


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
    """The generator is drawn towards the start (as L2-SP, arXiv:1802.01483)."""
    weights: list[Tensor] = list(trainer.generator.parameters())
    start = [each.detach().clone() for each in weights]

    def pull_back(*_: Any) -> None:
        with torch.no_grad():
            torch._foreach_lerp_(weights, start, PULL)

    trainer.generator_optimiser.register_step_post_hook(pull_back)


def _elastic(trainer: FewshotTrainer) -> None:
    """EWC, arXiv:2012.02780: as `_pull`, and each weight by its Fisher information, on the average as much."""
    weights: list[Tensor] = list(trainer.generator.parameters())
    start = [each.detach().clone() for each in weights]
    information = fisher_information(trainer)
    mean = torch.cat([each.flatten() for each in information]).mean()
    shares = [(PULL * each / mean).clamp_max(1) for each in information]

    def pull_back(*_: Any) -> None:
        with torch.no_grad():
            torch._foreach_lerp_(weights, start, shares)

    trainer.generator_optimiser.register_step_post_hook(pull_back)


def fisher_information(trainer: FewshotTrainer) -> list[Tensor]:
    """Of each weight of the generator: the mean squared derivative of the start's logits of its own images."""
    weights, random = list(trainer.generator.parameters()), torch.Generator().manual_seed(0)
    found = [torch.zeros_like(each) for each in weights]
    for _ in range(FISHER_BATCHES):
        latents, types, directions = _inputs(trainer, FISHER_BATCH, random)
        images = trainer.generator(latents, types, directions)
        logits = trainer.discriminator(images, types, directions)
        derivatives = torch.autograd.grad(logits.mean(), weights, allow_unused=True)
        for total, each in zip(found, derivatives, strict=True):
            if each is not None:
                total += each.square()
    return found


def _correspond(trainer: FewshotTrainer) -> None:
    """Cross-domain correspondence, arXiv:2104.06820, eq. 2: images are as much alike as the start's are.

    The discriminator of patches that the paper has beside it is left out.
    """
    source = copy.deepcopy(trainer.generator).requires_grad_(False)
    random = torch.Generator().manual_seed(0)

    def add_gradient(*_: Any) -> None:
        inputs = _inputs(trainer, ANCHORS, random)
        ours, theirs = (likeness(each, inputs) for each in (trainer.generator, source))
        loss = sum(
            F.kl_div(own, their, log_target=True, reduction="batchmean")
            for own, their in zip(ours, theirs, strict=True)
        )
        (CORRESPONDENCE / len(ours) * loss).backward()

    trainer.generator_optimiser.register_step_pre_hook(add_gradient)


def _inputs(trainer: FewshotTrainer, count: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
    """Random latents, types and directions."""
    generator = trainer.generator
    latents = torch.randn(count, generator.latent_size, generator=random)
    types = torch.randint(trainer.types, (count,), generator=random)
    return latents, types, generator.drawn_directions(latents, types) if generator.direction else None


def likeness(generator: Generator, inputs: tuple[Tensor, Tensor, Tensor | None]) -> list[Tensor]:
    """For each feature map, (B, B - 1): logarithms of how alike an image is to each other one, adding up to 1."""
    kept: list[Tensor] = []
    hooks = [each.register_forward_hook(lambda _, __, made: kept.append(made)) for each in generator.feature_layers()]
    generator(*inputs)
    for each in hooks:
        each.remove()
    found, others = [], ~torch.eye(len(inputs[0]), dtype=torch.bool)
    for each in kept:
        flat = F.normalize(each.flatten(1))
        found.append((flat @ flat.T)[others].view(len(flat), -1).log_softmax(1))
    return found


ADAPTATIONS: dict[str, Callable[[FewshotTrainer], None]] = {
    "freeze": _freeze,
    "slow": _slow,
    "pull": _pull,
    "elastic": _elastic,
    "correspond": _correspond,
}
"""By name. To be applied to a trainer that was given its start."""
