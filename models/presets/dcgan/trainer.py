"""The trainer of the 2019 article's DCGAN: data order, latents, updates, and the state of the whole run."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.dcgan.networks import Discriminator, Generator
from flawsmith.models.quality.comparison import by_type
from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.training.fixed_samples import FixedSamples
from flawsmith.models.training.objectives import fake_loss, real_loss
from flawsmith.models.training.optimisers import clear_moments, set_learning_rate
from flawsmith.models.training.share import OneOfSeveral, Share
from flawsmith.models.training.state import copied_weights, flat_state, load_flat_state, to_device
from flawsmith.models.training.trainer import Networks


@dataclass(frozen=True, kw_only=True)
class DcganConfig:
    """The configuration of a run; for bounds, defaults and units see `core.domain.presets.dcgan`.

    No field has a default here: a missing one is an error.
    """

    resolution: int
    channels: int
    seed: int
    latent_size: int
    generator_depth: int
    discriminator_depth: int
    generator_learning_rate: float
    discriminator_learning_rate: float
    beta1: float
    beta2: float
    batch_size: int
    precision: str


class DcganTrainer:
    """Trains on one dataset, step by step, as the article does; a `Trainer`. No photographs are held out.

    Args:
        config: the numbers of the run.
        images: (N, channels, resolution, resolution) uint8.
        type_index: (N,) int64, each image's defect type.
        types: number of defect types.
        device: where the networks live; the images stay on the CPU and are copied batch by batch.
    """

    def __init__(
        self, config: DcganConfig, images: Tensor, type_index: Tensor, types: int, device: torch.device
    ) -> None:
        self.config, self.device, self.types = config, device, types
        self.images, self.type_index = images, type_index
        self.random = torch.Generator().manual_seed(config.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.generator = Generator(
                config.resolution, config.channels, config.latent_size, config.generator_depth, types
            )
            self.discriminator = Discriminator(config.resolution, config.channels, config.discriminator_depth, types)
        for network in (self.generator, self.discriminator):
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        betas = (config.beta1, config.beta2)
        self.generator_optimiser = Adam(self.generator.parameters(), betas=betas, fused=True)
        self.discriminator_optimiser = Adam(self.discriminator.parameters(), betas=betas, fused=True)
        self.learning_rate_reductions = 0
        self._set_rates()
        self.completed_steps = 0
        self.order = torch.randperm(len(images), generator=self.random)
        self.samples = FixedSamples(types, config.latent_size, config.seed, device)
        self._evaluator: Evaluator | None = None
        self._divide(Share())

    def share(self, rank: int, count: int) -> None:
        self._divide(OneOfSeveral(rank, count))

    @property
    def batch_size(self) -> int:
        return self.config.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.images) // self.config.batch_size)

    def step(self, progress: float) -> dict[str, Tensor]:
        """Updates the discriminator once, then the generator.

        An epoch's last batch may be short. The article's loop stopped there, with labels of the full batch size.

        Args:
            progress: ignored; the article has no schedule.

        Returns:
            ``discriminator_loss`` and ``generator_loss``; ``real_score`` and ``fake_score``, the discriminator's mean
            probability of "real", 0 to 1, before its update.
        """
        chosen = self._next_batch()
        latents = self._latents(len(chosen))
        rows = self._share.rows(len(chosen))
        chosen, latents = chosen[rows], to_device(latents[rows], self.device)
        real = from_bytes(to_device(self.images[chosen], self.device)).contiguous(memory_format=torch.channels_last)
        type_index = to_device(self.type_index[chosen], self.device)
        with self._precision():
            fake = self._synchronised["generator"](latents, type_index).float()

        self.discriminator_optimiser.zero_grad()
        with self._precision():  # one context for both passes, so that weights are converted once
            judge = self._synchronised["discriminator"]
            real_logits = judge(real, type_index).float()
            fake_logits = judge(fake.detach(), type_index).float()
        discriminator_loss = real_loss(real_logits) + fake_loss(fake_logits)
        self._share.backward(discriminator_loss)
        self.discriminator_optimiser.step()

        generator_loss = self._update_generator(fake, type_index)
        self.completed_steps += 1
        return self._share.mean(
            {
                "discriminator_loss": discriminator_loss.detach(),
                "generator_loss": generator_loss,
                "real_score": real_logits.detach().sigmoid().mean(),
                "fake_score": fake_logits.detach().sigmoid().mean(),
            }
        )

    def preview(self) -> Tensor:
        return self.samples.preview(self.generator)

    def prepare_evaluation(self) -> Evaluator:
        if self._evaluator is None:
            images = by_type(self.images, self.type_index, self.types)
            # Without a score: each pass of the discriminator updates its batch norm and power iteration.
            self._evaluator = Evaluator(images, [each[:0] for each in images])
        return self._evaluator

    def evaluate(self) -> dict[str, float]:
        return self.prepare_evaluation().signals(self.samples.evaluated(self.generator))

    def reduce_learning_rate(self) -> None:
        """Halves the learning rates and clears optimiser state: NaN moments never decay."""
        self.learning_rate_reductions += 1
        clear_moments(self._optimisers())
        self._set_rates()

    def analysis(self) -> dict[str, Any]:
        return {}

    def networks(self) -> Networks:
        return {name: copied_weights(module) for name, module in self._modules().items()}

    def load_networks(self, networks: Networks) -> None:
        for name, module in self._modules().items():
            module.load_state_dict(networks[name])

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "random": self.random.get_state(),
            "order": self.order,
            "completed_steps": torch.tensor(self.completed_steps),
            "learning_rate_reductions": torch.tensor(self.learning_rate_reductions),
            **flat_state(self._modules(), self._optimisers()),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.random.set_state(state["random"])
        self.order = state["order"]
        self.completed_steps = int(state["completed_steps"])
        load_flat_state(state, self._modules(), self._optimisers())
        self.learning_rate_reductions = int(state.get("learning_rate_reductions", 0))  # missing in older states
        self._set_rates()

    def _update_generator(self, fake: Tensor, type_index: Tensor) -> Tensor:
        """Updates the generator against the updated discriminator; returns its loss."""
        # The gradient passes through the discriminator; the discriminator's own is not needed here.
        self.discriminator.requires_grad_(False)
        self.generator_optimiser.zero_grad()
        with self._precision():
            logits = self.discriminator(fake, type_index).float()
        loss = real_loss(logits)
        self._share.backward(loss)
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        return loss.detach()

    def _divide(self, share: Share) -> None:
        self._share = share
        self._synchronised = {name: share.synchronised(each) for name, each in self._modules().items()}

    def _set_rates(self) -> None:
        config = self.config
        rates = (config.generator_learning_rate, config.discriminator_learning_rate)
        for optimiser, rate in zip(self._optimisers().values(), rates, strict=True):
            set_learning_rate(optimiser, rate * 0.5**self.learning_rate_reductions)

    def _modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def _optimisers(self) -> dict[str, Optimizer]:
        return {
            "generator_optimiser": self.generator_optimiser,
            "discriminator_optimiser": self.discriminator_optimiser,
        }

    def _next_batch(self) -> Tensor:
        position = self.completed_steps % self.steps_per_epoch
        if position == 0 and self.completed_steps:
            self.order = torch.randperm(len(self.images), generator=self.random)
        size = self.config.batch_size
        return self.order[position * size : (position + 1) * size]

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def _latents(self, count: int) -> Tensor:
        return torch.randn(count, self.config.latent_size, generator=self.random)
