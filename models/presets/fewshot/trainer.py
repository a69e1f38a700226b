"""A training run on few photographs: schedules, updates, averaging, and all of its state as tensors."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.fewshot.discriminator_pass import DiscriminatorPass
from flawsmith.models.presets.fewshot.networks import Discriminator, Generator
from flawsmith.models.quality.evaluator import Evaluator, by_type
from flawsmith.models.training.augmentation import (
    AugmentationParameters,
    Strength,
    Symmetries,
    augment,
    sample_augmentation,
)
from flawsmith.models.training.balanced_batches import BalancedBatches
from flawsmith.models.training.captured_step import CapturedStep
from flawsmith.models.training.fixed_samples import FixedSamples
from flawsmith.models.training.holdout import holdout
from flawsmith.models.training.objectives import relativistic_discriminator_loss, relativistic_generator_loss
from flawsmith.models.training.state import below, copied_weights, flat_state, forget, load_flat_state, sent
from flawsmith.models.training.symmetries import SYMMETRIES, UNTOLD, symmetry_p_values, usable_symmetries
from flawsmith.models.training.trainer import Networks

FINAL_SHARE = 0.25  # of the learning rate, at the end of the run
CONDITIONING_BEGINS, CONDITIONING_COMPLETE = 0.15, 0.4  # share of the run
LOOKED_AT = 64  # photographs of each kind and type, for the discriminator's gap
BETA1, BETA2 = 0.0, 0.99  # of Adam: R3GAN, arXiv:2501.05441, and StyleGAN2, arXiv:1912.04958


@dataclass(frozen=True, kw_only=True)
class FewshotConfig:
    """What a run is configured by; for bounds, defaults and units see `core.domain.presets.fewshot`.

    No field has a default here: a missing one is an error.
    """

    resolution: int
    channels: int
    seed: int
    latent_size: int
    generator_width: int
    discriminator_width: int
    learning_rate: float
    gradient_penalty: float
    ema_half_life_images: int
    augment_probability: float
    augment_shift: float
    augment_brightness: float
    augment_contrast: float
    horizontal_flip: bool | None
    vertical_flip: bool | None
    transposition: bool | None
    batch_size: int
    cuda_graph: bool


class FewshotTrainer:
    """A run on one dataset, step by step; a `Trainer`. Some photographs are kept aside, see `holdout`.

    Args:
        config: the run's numbers.
        images: (N, channels, resolution, resolution) uint8, on the CPU.
        type_index: (N,) int64, each image's defect type.
        types: number of defect types.
        device: where the networks live, and a copy of the images.
    """

    def __init__(
        self, config: FewshotConfig, images: Tensor, type_index: Tensor, types: int, device: torch.device
    ) -> None:
        self.config, self.device, self.types = config, device, types
        aside = holdout(type_index, types, config.seed)
        self.holdout, self.holdout_type_index = images[aside], type_index[aside]
        images, type_index = images[~aside], type_index[~aside]
        self.photographs = len(aside)
        self.images, self.type_index = images.to(device), type_index
        self.learning_rate_reductions = 0
        self._p_values: Tensor | None = None  # of each type's turns, (types, 3)
        self._evaluator: Evaluator | None = None
        self.strength = Strength(
            config.augment_probability, config.augment_shift, config.augment_brightness, config.augment_contrast
        )
        self.random = torch.Generator().manual_seed(config.seed)
        self._build_networks()
        self._gamma = torch.zeros((), device=device)
        captured = config.cuda_graph and device.type == "cuda"
        self.generator_optimiser = _adam(self.generator, config, captured)
        self.discriminator_optimiser = _adam(self.discriminator, config, captured)
        self.captured = CapturedStep(self._update_both, device) if captured else None
        self.batches = BalancedBatches(type_index, types, self.random)
        self.samples = FixedSamples(types, self.generator.latent_size, config.seed, device)
        self.completed_steps = 0

    @property
    def batch_size(self) -> int:
        return self.config.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.photographs // self.config.batch_size)

    def step(self, progress: float) -> dict[str, Tensor]:
        """One update of the discriminator, then one of the generator.

        Args:
            progress: how far the run is, 0 to 1: rates fall, and the type comes in.

        Returns:
            ``discriminator_loss`` and ``generator_loss``, the relativistic losses; ``real_penalty`` and
            ``fake_penalty``, R1 and R2 as they are added to the former; ``sign_rate``, the mean sign of D(x) - D(G(z))
            over the pairs, -1 to 1; ``margin``, the mean of that difference.
        """
        self._keep_to_schedule(progress)
        measured = (self.captured or self._update_both)(self._drawn())
        self._average_generator()
        self.completed_steps += 1
        return measured

    def preview(self) -> Tensor:
        return self.samples.preview(self.generator_ema)

    def evaluate(self) -> dict[str, float]:
        if self._evaluator is None:
            self._evaluator = Evaluator(
                by_type(self.images.cpu(), self.type_index, self.types),
                by_type(self.holdout, self.holdout_type_index, self.types),
            )
        samples = self.samples.evaluated(self.generator_ema)
        return {**self._evaluator.signals(samples), **self._overfitting_r_v(samples)}

    def reduce_learning_rate(self) -> None:
        """Halves the learning rate, doubles the penalties' weight, and forgets what the optimisers remember."""
        self.learning_rate_reductions += 1
        forget(self._optimisers())
        if self.captured:
            self.captured.forget()

    def analysis(self) -> dict[str, Any]:
        """``augmentation``: for each type, in order, which turns are used, and the p-values of `symmetry.symmetry_p_values`."""
        used, found = self._symmetries_used().tolist(), self._tested().tolist()
        return {
            "augmentation": [
                {
                    turn: {"used": yes, "p_value": None if p_value == UNTOLD else round(p_value, 4)}
                    for turn, yes, p_value in zip(SYMMETRIES, *of_type, strict=True)
                }
                for of_type in zip(used, found, strict=True)
            ]
        }

    def networks(self) -> Networks:
        return {"generator": copied_weights(self.generator_ema), "discriminator": copied_weights(self.discriminator)}

    def load_networks(self, networks: Networks) -> None:
        self.generator.load_state_dict(networks["generator"])
        self.generator_ema.load_state_dict(networks["generator"])
        self.discriminator.load_state_dict(networks["discriminator"])

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "random": self.random.get_state(),
            "completed_steps": torch.tensor(self.completed_steps),
            "learning_rate_reductions": torch.tensor(self.learning_rate_reductions),
            "symmetry_p_values": self._tested(),
            **{f"batches.{name}": value for name, value in self.batches.state_dict().items()},
            **flat_state(self._modules(), self._optimisers()),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.random.set_state(state["random"])
        self.completed_steps = int(state["completed_steps"])
        self.learning_rate_reductions = int(state["learning_rate_reductions"])
        self._p_values = state["symmetry_p_values"]
        self.batches.load_state_dict(below(state, "batches"))
        load_flat_state(state, self._modules(), self._optimisers())
        if self.captured:
            self.captured.forget()

    def _drawn(self) -> dict[str, Tensor]:
        """All that is random in a step, on the device: which photographs, latents, and the draws of both updates."""
        chosen, type_index = self.batches.draw(self.config.batch_size)
        drawn = {"chosen": chosen, "types": type_index, "latents": self._latents(len(chosen))}
        for network in ("discriminator", "generator"):
            drawn |= {f"{network}.{name}": each for name, each in vars(self._sample_augmentation(type_index)).items()}
        return {name: sent(each, self.device) for name, each in drawn.items()}

    def _update_both(self, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
        """A step's work on the device."""
        types = drawn["types"]
        real = from_bytes(self.images[drawn["chosen"]])
        fake = self.generator(drawn["latents"], types)
        measured = self._update_discriminator(
            real, fake.detach(), types, AugmentationParameters(**below(drawn, "discriminator"))
        )
        return measured | self._update_generator(real, fake, types, AugmentationParameters(**below(drawn, "generator")))

    def _build_networks(self) -> None:
        config = self.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            generator = Generator(
                config.resolution, config.channels, config.latent_size, config.generator_width, self.types
            )
            discriminator = Discriminator(config.resolution, config.channels, config.discriminator_width, self.types)
        for network in (generator, discriminator):
            # Channels last: there the convolutions of small images are twice as fast.
            network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator, self.discriminator = generator, discriminator
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)

    def _modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator, "generator_ema": self.generator_ema}

    def _optimisers(self) -> dict[str, Optimizer]:
        return {
            "generator_optimiser": self.generator_optimiser,
            "discriminator_optimiser": self.discriminator_optimiser,
        }

    def _keep_to_schedule(self, progress: float) -> None:
        share = FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * progress)) / 2
        for optimiser in self._optimisers().values():
            for group in optimiser.param_groups:
                rate = self.config.learning_rate * share * 0.5**self.learning_rate_reductions
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
        self._gamma.fill_(self.config.gradient_penalty * 2**self.learning_rate_reductions)
        begun = (progress - CONDITIONING_BEGINS) / (CONDITIONING_COMPLETE - CONDITIONING_BEGINS)
        conditioning = min(1.0, max(0.0, begun)) if self.types > 1 else 0.0
        for network in (self.generator, self.discriminator, self.generator_ema):
            network.conditioning.fill_(conditioning)

    def _update_discriminator(
        self, real: Tensor, fake: Tensor, types: Tensor, drawn: AugmentationParameters
    ) -> dict[str, Tensor]:
        images = torch.cat([real, fake]).requires_grad_()
        seen = augment(images, drawn)
        through = DiscriminatorPass(self.discriminator, _channels_last(seen.detach()), types.repeat(2))
        logits = through.logits.requires_grad_()
        loss = relativistic_discriminator_loss(*logits.chunk(2))
        (weights,) = torch.autograd.grad(loss, logits)
        # The penalty is on the images before their augmentation, so the way back goes on through it.
        (gradients,) = torch.autograd.grad(seen, images, through.image_gradients())
        plain = replace(drawn, brightness=torch.zeros_like(drawn.brightness))
        directions = augment(self._gamma / len(real) * gradients, plain)
        through.set_gradients(weights, _channels_last(directions))
        self.discriminator_optimiser.step()
        real_penalty, fake_penalty = (self._gamma / 2 * gradients.square().sum((1, 2, 3))).view(2, -1).mean(1)
        real_logits, fake_logits = logits.detach().chunk(2)
        return {
            "discriminator_loss": loss.detach(),
            "real_penalty": real_penalty,
            "fake_penalty": fake_penalty,
            "sign_rate": (real_logits - fake_logits).sign().mean(),
            "margin": (real_logits - fake_logits).mean(),
        }

    def _update_generator(
        self, real: Tensor, fake: Tensor, types: Tensor, drawn: AugmentationParameters
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            real_logits = self.discriminator(_channels_last(augment(real, drawn)), types)
        # The gradient passes through the discriminator; the discriminator's own is not needed here.
        self.discriminator.requires_grad_(False)
        fake_logits = self.discriminator(_channels_last(augment(fake, drawn)), types)
        self.generator_optimiser.zero_grad()
        loss = relativistic_generator_loss(real_logits, fake_logits)
        loss.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        return {"generator_loss": loss.detach()}

    def _average_generator(self) -> None:
        """Generator EMA; half-life: `ema_half_life_images`, or a twentieth of the images shown while that is less."""
        seen = self.completed_steps * self.config.batch_size
        half_life = min(self.config.ema_half_life_images, seen / 20)
        keep = 0.5 ** (self.config.batch_size / half_life) if half_life else 0.0
        averages: list[Tensor] = list(self.generator_ema.parameters())
        weights: list[Tensor] = list(self.generator.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - keep)

    def _sample_augmentation(self, type_index: Tensor) -> AugmentationParameters:
        symmetries = Symmetries(*self._symmetries_used().T)
        return sample_augmentation(type_index, self.config.resolution, self.strength, symmetries, self.random)

    def _tested(self) -> Tensor:
        """When first needed: a run that is taken up again has them from its state."""
        if self._p_values is None:
            images = self.images.cpu()
            self._p_values = torch.stack(
                [symmetry_p_values(images[self.type_index == each]) for each in range(self.types)]
            )
        return self._p_values

    def _symmetries_used(self) -> Tensor:
        """(types, 3) bool: as the configuration says, else what was found usable_symmetries."""
        used, config = usable_symmetries(self._tested()), self.config
        for turn, said in enumerate((config.horizontal_flip, config.vertical_flip, config.transposition)):
            if said is not None:
                used[:, turn] = said
        return used

    def _overfitting_r_v(self, samples: Sequence[Tensor]) -> dict[str, float]:
        """``overfitting_r_v``: how much more real photographs trained on look to the discriminator than those kept aside.

        As a share of how much more than samples, the mean over types of which some are kept aside; 0 for a
        discriminator that learnt nothing by heart, 1 for one to which photographs that it does not know are as good as
        samples. Nothing where none are kept aside.
        """
        training = by_type(self.images, self.type_index.to(self.device), self.types)
        aside = by_type(self.holdout, self.holdout_type_index, self.types)
        logits = [
            [self._mean_logit(images, each) for images in (training[each], aside[each], samples[each])]
            for each in range(self.types)
            if len(aside[each])
        ]
        if not logits:
            return {}
        known, others, fake = (fmean(each) for each in zip(*logits, strict=True))
        return {"overfitting_r_v": (known - others) / max(abs(known - fake), 1e-6)}

    @torch.no_grad()
    def _mean_logit(self, images: Tensor, of_type: int) -> float:
        """Of at most `LOOKED_AT` of them, evenly chosen."""
        chosen = images[:: -(-len(images) // LOOKED_AT)].to(self.device)
        types = torch.full((len(chosen),), of_type, device=self.device)
        return float(self.discriminator(_channels_last(from_bytes(chosen)), types).mean())

    def _latents(self, count: int) -> Tensor:
        return torch.randn(count, self.generator.latent_size, generator=self.random)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _adam(network: nn.Module, config: FewshotConfig, captured: bool) -> Adam:
    """``captured``: its rate is a number on the device, so that a recorded step follows it."""
    on = next(network.parameters()).device
    rate = torch.tensor(config.learning_rate, device=on) if captured else config.learning_rate
    return Adam(network.parameters(), rate, betas=(BETA1, BETA2), fused=True, capturable=captured)
