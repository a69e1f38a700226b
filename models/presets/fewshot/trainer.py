"""The trainer of the preset for few photographs: both networks' update, and the state of the whole run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.fewshot.augmentation_policy import AugmentationPolicy
from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.directions import augmented_directions, direction_vectors
from flawsmith.models.presets.fewshot.discriminator_pass import DiscriminatorPass
from flawsmith.models.presets.fewshot.networks import Discriminator, Generator
from flawsmith.models.presets.fewshot.photograph_directions import PhotographDirections
from flawsmith.models.presets.fewshot.prior_weights import OF_PHOTOGRAPHS
from flawsmith.models.presets.fewshot.schedule import FewshotSchedule
from flawsmith.models.quality.comparison import by_type
from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.training.augmentation import AugmentationParameters, Strength, augment
from flawsmith.models.training.balanced_batches import BalancedBatches
from flawsmith.models.training.captured_step import CapturedStep
from flawsmith.models.training.ema import ExponentialMovingAverage
from flawsmith.models.training.fixed_samples import FixedSamples
from flawsmith.models.training.holdout import holdout
from flawsmith.models.training.objectives import relativistic_discriminator_loss, relativistic_generator_loss
from flawsmith.models.training.optimisers import clear_moments, set_learning_rate
from flawsmith.models.training.state import below, copied_weights, flat_state, load_flat_state, load_without, to_device
from flawsmith.models.training.symmetries import SYMMETRIES
from flawsmith.models.training.trainer import Networks

BETA1, BETA2 = 0.0, 0.99  # of Adam: R3GAN, arXiv:2501.05441, and StyleGAN2, arXiv:1912.04958


class FewshotTrainer:
    """Trains on one dataset, step by step; a `Trainer`. Some photographs are held out, see `holdout`.

    Args:
        config: the numbers of the run.
        images: (N, channels, resolution, resolution) uint8, on the CPU.
        type_index: (N,) int64, each image's defect type.
        types: number of defect types.
        device: where the networks live, and a copy of the images.
        photograph: (N,) int64, equal for the images that were cut from one photograph; None where each is another one.
        held_out: which images are held out, (N,) bool; None: those that `holdout` chooses.
    """

    def __init__(
        self,
        config: FewshotConfig,
        images: Tensor,
        type_index: Tensor,
        types: int,
        device: torch.device,
        photograph: Tensor | None = None,
        *,
        held_out: Tensor | None = None,
    ) -> None:
        self.config, self.device, self.types = config, device, types
        if held_out is None:
            held_out = holdout(images, type_index, types, config.seed, photograph)
        self.holdout, self.holdout_type_index = images[held_out], type_index[held_out]
        self.images, self.type_index = images[~held_out].to(device), type_index[~held_out]
        self.photographs = len(images)
        self.random = torch.Generator().manual_seed(config.seed)
        self.generator, self.discriminator = _build_networks(config, types, device)
        self.directions = PhotographDirections(self.images, self.type_index, types) if config.direction else None
        if self.directions:
            self.generator.directions.copy_(self.directions.entries)
        self.ema = ExponentialMovingAverage(self.generator, config.ema_half_life_images, config.batch_size)
        self.schedule = FewshotSchedule(config.learning_rate, config.gradient_penalty, types)
        # Functions without a reference to the trainer: a cycle would keep its memory until the garbage collector runs.
        self._training_by_type = partial(_by_type_on_cpu, self.images, self.type_index, types)
        self.augmentation = _augmentation_policy(config, self._training_by_type)
        self._gamma = torch.zeros((), device=device)  # a tensor, which a recorded step reads anew
        captured = config.cuda_graph and device.type == "cuda"
        self.generator_optimiser = _adam(self.generator, config, captured)
        self.discriminator_optimiser = _adam(self.discriminator, config, captured)
        self.captured = CapturedStep(self._update_both, device) if captured else None
        self.batches = BalancedBatches(self.type_index, types, self.random)
        self.samples = FixedSamples(types, self.generator.latent_size, config.seed, device)
        self.completed_steps = 0
        self._evaluator: Evaluator | None = None

    @property
    def batch_size(self) -> int:
        return self.config.batch_size

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.photographs // self.config.batch_size)

    def step(self, progress: float) -> dict[str, Tensor]:
        """Updates the discriminator once, then the generator.

        Args:
            progress: how far the run is, 0 to 1; the schedule follows it.

        Returns:
            ``discriminator_loss`` and ``generator_loss``, the relativistic losses; ``real_penalty`` and
            ``fake_penalty``, R1 and R2 as they are added to the former; ``sign_rate``, the mean sign of D(x) - D(G(z))
            over the pairs, -1 to 1; ``margin``, the mean of that difference.
        """
        self._apply_schedule(progress)
        measured = (self.captured or self._update_both)(self._draw_inputs())
        self.ema.update(images_shown=self.completed_steps * self.config.batch_size)
        self.completed_steps += 1
        return measured

    def preview(self) -> Tensor:
        return self.samples.preview(self.ema.module)

    def prepare_evaluation(self) -> Evaluator:
        if self._evaluator is None:
            held_out = by_type(self.holdout, self.holdout_type_index, self.types)
            self._evaluator = Evaluator(self._training_by_type(), held_out, partial(_mean_logit, self.discriminator))
        return self._evaluator

    def evaluate(self) -> dict[str, float]:
        return self.prepare_evaluation().signals(self.samples.evaluated(self.ema.module))

    def postpone_tests(self) -> None:
        self.augmentation.postpone()

    @property
    def tests_pending(self) -> bool:
        return bool(self.augmentation.pending)

    def test_next(self) -> None:
        self.augmentation.test_next()

    def reduce_learning_rate(self) -> None:
        """Halves the learning rate and doubles the penalties' weight.

        Clears optimiser state as well: NaN moments never decay.
        """
        self.schedule.reductions += 1
        clear_moments(self._optimisers())
        if self.captured:
            self.captured.reset()

    def analysis(self) -> dict[str, Any]:
        """What was found out about each type's photographs.

        ``augmentation``: which symmetries are used, and their p-values, see `AugmentationPolicy`; with ``direction``,
        ``directions``, see `PhotographDirections.analysis`.
        """
        found = {"augmentation": self.augmentation.analysis()}
        return found | {"directions": self.directions.analysis()} if self.directions else found

    def networks(self) -> Networks:
        return {"generator": copied_weights(self.ema.module), "discriminator": copied_weights(self.discriminator)}

    def load_networks(self, networks: Networks) -> None:
        self.generator.load_state_dict(networks["generator"])
        self.ema.module.load_state_dict(networks["generator"])
        self.discriminator.load_state_dict(networks["discriminator"])
        if self.directions:  # those of this run's photographs
            self.generator.directions.copy_(self.directions.entries)
            self.ema.module.directions.copy_(self.directions.entries)

    def load_prior(self, weights: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Starts from networks that were trained on drawn surfaces, before the first step.

        What belongs to the prior's types and pictures is left out: see `OF_PHOTOGRAPHS`.

        Args:
            weights: of ``generator`` and ``discriminator``, as `networks` returns them, of any floating dtype.

        Raises:
            KeyError, RuntimeError: the weights have another shape.
        """
        for name, network in self._modules().items():
            load_without(network, weights[name.removesuffix("_ema")], OF_PHOTOGRAPHS)

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "random": self.random.get_state(),
            "completed_steps": torch.tensor(self.completed_steps),
            "learning_rate_reductions": torch.tensor(self.schedule.reductions),
            "symmetry_p_values": self.augmentation.p_values,
            **({"directions": self.directions.of_photographs} if self.directions else {}),
            **{f"batches.{name}": value for name, value in self.batches.state_dict().items()},
            **flat_state(self._modules(), self._optimisers()),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.random.set_state(state["random"])
        self.completed_steps = int(state["completed_steps"])
        self.schedule.reductions = int(state["learning_rate_reductions"])
        self.augmentation.p_values = state["symmetry_p_values"]
        if self.directions:  # measured again, they may differ by rounding
            self.directions.of_photographs.copy_(state["directions"])
        self.batches.load_state_dict(below(state, "batches"))
        load_flat_state(state, self._modules(), self._optimisers())
        if self.captured:
            self.captured.reset()

    def _modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator, "generator_ema": self.ema.module}

    def _optimisers(self) -> dict[str, Optimizer]:
        return {
            "generator_optimiser": self.generator_optimiser,
            "discriminator_optimiser": self.discriminator_optimiser,
        }

    def _apply_schedule(self, progress: float) -> None:
        for optimiser in self._optimisers().values():
            set_learning_rate(optimiser, self.schedule.learning_rate(progress))
        self._gamma.fill_(self.schedule.gradient_penalty * self.config.penalty_scale)
        for network in (self.generator, self.discriminator, self.ema.module):
            network.conditioning.fill_(self.schedule.conditioning(progress))

    def _draw_inputs(self) -> dict[str, Tensor]:
        """Draws all that is random in a step, on the device: photographs, latents, the augmentation of both updates."""
        chosen, type_index = self.batches.next(self.config.batch_size)
        latents = self._draw_latents(len(chosen))
        inputs = {"chosen": chosen, "types": type_index, "latents": latents}
        for network in ("discriminator", "generator"):
            parameters = self.augmentation.sample(type_index, self.random)
            inputs |= {f"{network}.{name}": each for name, each in vars(parameters).items()}
        if self.directions:
            inputs["directions"] = self.directions.labels(chosen, self.random)
        return {name: to_device(each, self.device) for name, each in inputs.items()}

    def _draw_latents(self, count: int) -> Tensor:
        return torch.randn(count, self.generator.latent_size, generator=self.random)

    def _update_both(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """A step's work on the device."""
        types, directions = inputs["types"], inputs.get("directions")
        real = from_bytes(self.images[inputs["chosen"]])
        fake = self.generator(inputs["latents"], types, directions)
        of_discriminator, of_generator = (
            AugmentationParameters(**below(inputs, network)) for network in ("discriminator", "generator")
        )
        measured = self._update_discriminator(real, fake.detach(), types, directions, of_discriminator)
        return measured | self._update_generator(real, fake, types, directions, of_generator)

    def _update_discriminator(
        self,
        real: Tensor,
        fake: Tensor,
        types: Tensor,
        directions: Tensor | None,
        parameters: AugmentationParameters,
    ) -> dict[str, Tensor]:
        images = torch.cat([real, fake]).requires_grad_()
        augmented = augment(images, parameters)
        told = None if directions is None else augmented_directions(directions, parameters).repeat(2, 1)
        forward = DiscriminatorPass(self.discriminator, _channels_last(augmented.detach()), types.repeat(2), told)
        logits = forward.logits.requires_grad_()
        loss = relativistic_discriminator_loss(*logits.chunk(2))
        (weights,) = torch.autograd.grad(loss, logits)
        # The penalty is on the images before their augmentation, so its gradient passes back through the augmentation.
        (gradients,) = torch.autograd.grad(augmented, images, forward.image_gradients())
        linear = replace(parameters, brightness=torch.zeros_like(parameters.brightness))
        penalised = augment(self._gamma / len(real) * gradients, linear)
        forward.set_gradients(weights, _channels_last(penalised))
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
        self,
        real: Tensor,
        fake: Tensor,
        types: Tensor,
        directions: Tensor | None,
        parameters: AugmentationParameters,
    ) -> dict[str, Tensor]:
        told = None if directions is None else augmented_directions(directions, parameters)
        with torch.no_grad():
            real_logits = self.discriminator(_channels_last(augment(real, parameters)), types, told)
        # The gradient passes through the discriminator; the discriminator's own is not needed here.
        self.discriminator.requires_grad_(False)
        fake_logits = self.discriminator(_channels_last(augment(fake, parameters)), types, told)
        self.generator_optimiser.zero_grad()
        loss = relativistic_generator_loss(real_logits, fake_logits)
        loss.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        return {"generator_loss": loss.detach()}


def _build_networks(config: FewshotConfig, types: int, device: torch.device) -> tuple[Generator, Discriminator]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = Generator(
            config.resolution,
            config.channels,
            config.latent_size,
            config.generator_width,
            types,
            config.direction,
            config.wavelet,
            config.narrow_ends,
        )
        discriminator = Discriminator(
            config.resolution, config.channels, config.discriminator_width, types, config.direction, config.haar_bands
        )
    for network in (generator, discriminator):
        # Convolutions of small images are twice as fast with channels last.
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return generator, discriminator


def _by_type_on_cpu(images: Tensor, type_index: Tensor, types: int) -> list[Tensor]:
    return by_type(images.cpu(), type_index, types)


@torch.no_grad()
def _mean_logit(discriminator: Discriminator, images: Tensor, of_type: int) -> float:
    """The discriminator's mean logit for (N, C, side, side) uint8 images of one type."""
    images = images.to(discriminator.head.weight.device)
    types = torch.full((len(images),), of_type, device=images.device)
    directions = direction_vectors(images) if discriminator.direction else None
    return float(discriminator(_channels_last(from_bytes(images)), types, directions).mean())


def _augmentation_policy(config: FewshotConfig, photographs: Callable[[], Sequence[Tensor]]) -> AugmentationPolicy:
    strength = Strength(
        config.augment_probability, config.augment_shift, config.augment_brightness, config.augment_contrast
    )
    configured = {name: getattr(config, name) for name in SYMMETRIES}
    return AugmentationPolicy(strength, config.resolution, configured, photographs)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _adam(network: nn.Module, config: FewshotConfig, captured: bool) -> Adam:
    """For a captured step, the learning rate is a tensor on the device, which the recording reads anew."""
    device = next(network.parameters()).device
    rate = torch.tensor(config.learning_rate, device=device) if captured else config.learning_rate
    return Adam(network.parameters(), rate, betas=(BETA1, BETA2), fused=True, capturable=captured)
