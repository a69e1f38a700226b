"""The trainer of the preset for few photographs: both networks' update, and the state of the whole run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from flawsmith.models.pixels import from_bytes
from flawsmith.models.presets.fewshot.augmentation_policy import AugmentationPolicy
from flawsmith.models.presets.fewshot.config import FewshotConfig
from flawsmith.models.presets.fewshot.masked_pairs import MaskedPairs
from flawsmith.models.presets.fewshot.mean_logit import mean_logit
from flawsmith.models.presets.fewshot.networks import Discriminator, Generator, WithMasks
from flawsmith.models.presets.fewshot.photograph_directions import PhotographDirections
from flawsmith.models.presets.fewshot.prior_weights import OF_PHOTOGRAPHS, with_own_masks
from flawsmith.models.presets.fewshot.schedule import FewshotSchedule
from flawsmith.models.presets.fewshot.updates import Pairs, View, update_discriminator, update_generator
from flawsmith.models.quality.comparison import by_type
from flawsmith.models.quality.evaluator import Evaluator
from flawsmith.models.training.augmentation import AugmentationParameters, Strength
from flawsmith.models.training.balanced_batches import BalancedBatches
from flawsmith.models.training.captured_step import CapturedStep
from flawsmith.models.training.ema import ExponentialMovingAverage
from flawsmith.models.training.fixed_samples import FixedSamples
from flawsmith.models.training.holdout import holdout
from flawsmith.models.training.optimisers import clear_moments, set_learning_rate
from flawsmith.models.training.photograph_masks import PhotographMasks
from flawsmith.models.training.share import OneOfSeveral, Share
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
        masks: of the images, which the generator then learns to make as well; None: it learns none.
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
        masks: PhotographMasks | None = None,
    ) -> None:
        self.config, self.device, self.types = config, device, types
        if held_out is None:
            held_out = holdout(images, type_index, types, config.seed, photograph)
        self.holdout, self.holdout_type_index = images[held_out], type_index[held_out]
        self.images, self.type_index = images[~held_out].to(device), type_index[~held_out]
        self.masks = None if masks is None else MaskedPairs(masks[~held_out], device)
        self.photographs = len(images)
        self.random = torch.Generator().manual_seed(config.seed)
        self.generator, self.discriminator = _build_networks(config, types, device, masks is not None)
        self.directions = _directions(config, self.images, self.type_index, types)
        if self.directions:
            self.generator.directions.copy_(self.directions.entries)
        self.ema = ExponentialMovingAverage(self.generator, config.ema_half_life_images, config.batch_size)
        self.schedule = FewshotSchedule(config.learning_rate, config.gradient_penalty, types * config.kinds)
        # Functions without a reference to the trainer: a cycle would keep its memory until the garbage collector runs.
        self._training_by_type = partial(_by_type_on_cpu, self.images, self.type_index, types)
        self.augmentation = _augmentation_policy(config, self._training_by_type)
        self._gamma = torch.zeros((), device=device)  # a tensor, which a recorded step reads anew
        captured = config.cuda_graph and device.type == "cuda"
        self.generator_optimiser = _adam(self.generator, config, captured)
        self.discriminator_optimiser = _adam(self.discriminator, config, captured)
        self.captured = CapturedStep(self._update_both, device) if captured else None
        self.batches = self._batches()
        self.samples = FixedSamples(types, self.generator.latent_size, config.seed, device)
        self.completed_steps = 0
        self._evaluator: Evaluator | None = None
        self._divide(Share())

    def share(self, rank: int, count: int) -> None:
        """As `TrainsInShares.share`. No CUDA graph is recorded: it would hold what passes between the processes."""
        self.captured = None
        self._divide(OneOfSeveral(rank, count))

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

    def preview_masks(self) -> Tensor | None:
        return self.samples.preview_masks(self.ema.module) if self.masks else None

    def prepare_evaluation(self) -> Evaluator:
        if self._evaluator is None:
            held_out = by_type(self.holdout, self.holdout_type_index, self.types)
            score = partial(mean_logit, self.discriminator, self.generator.directions if self.directions else None)
            self._evaluator = Evaluator(self._training_by_type(), held_out, score)
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
        """As `Trainer.load_networks`; a run with masks can go on from networks that know none."""
        for name, network in self._modules().items():
            network.load_state_dict(with_own_masks(network, networks[name.removesuffix("_ema")]))
        if self.directions:  # those of this run's photographs
            self.generator.directions.copy_(self.directions.entries)
            self.ema.module.directions.copy_(self.directions.entries)

    def load_prior(self, weights: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Starts from networks that were trained on drawn surfaces, before the first step.

        What belongs to the prior's types and pictures is left out: see `OF_PHOTOGRAPHS`. A prior knows no masks: see
        `with_own_masks`.

        Args:
            weights: of ``generator`` and ``discriminator``, as `networks` returns them, of any floating dtype.

        Raises:
            KeyError, RuntimeError: the weights have another shape.
        """
        for name, network in self._modules().items():
            of_prior = with_own_masks(network, weights[name.removesuffix("_ema")])
            load_without(network, of_prior, OF_PHOTOGRAPHS)

    def state_dict(self) -> dict[str, Tensor]:
        return {
            "random": self.random.get_state(),
            "completed_steps": torch.tensor(self.completed_steps),
            "learning_rate_reductions": torch.tensor(self.schedule.reductions),
            "symmetry_p_values": self.augmentation.p_values,
            **({"directions": self.directions.of_photographs} if self.directions else {}),
            **({"kinds": self.directions.kind} if self.directions and self.config.kinds > 1 else {}),
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
            self.directions.kind.copy_(state.get("kinds", self.directions.kind))
            self.batches = self._batches()
        self.batches.load_state_dict(below(state, "batches"))
        load_flat_state(state, self._modules(), self._optimisers())
        if self.captured:
            self.captured.reset()

    def _batches(self) -> BalancedBatches:
        kind = self.directions.kind if self.directions else None
        return BalancedBatches(self.type_index, self.types, self.random, kind)

    def _modules(self) -> dict[str, Generator | Discriminator]:
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
        if self.masks:
            inputs["masks_shown"] = self.masks.shown(chosen, self.random)
        rows = self._share.rows(len(chosen))
        return {name: to_device(each[rows], self.device) for name, each in inputs.items()}

    def _draw_latents(self, count: int) -> Tensor:
        return torch.randn(count, self.generator.latent_size, generator=self.random)

    def _update_both(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """A step's work on the device."""
        types, directions = inputs["types"], inputs.get("directions")
        real = from_bytes(self.images[inputs["chosen"]])
        fake = self._make(inputs["latents"], types, directions)
        if self.masks:
            real = self.masks.behind(real, inputs["chosen"])
        pairs = Pairs(real, fake, types, directions)
        of_discriminator, of_generator = (
            View(AugmentationParameters(**below(inputs, network)), inputs.get("masks_shown"))
            for network in ("discriminator", "generator")
        )
        network, share = self.discriminator, self._share
        measured = update_discriminator(
            network, self.discriminator_optimiser, pairs, of_discriminator, self._gamma, share
        )
        return share.mean(measured | update_generator(network, self.generator_optimiser, pairs, of_generator, share))

    def _divide(self, share: Share) -> None:
        self._share = share
        # Of the generator alone: the discriminator's gradients do not come from automatic differentiation.
        self._make = share.synchronised(WithMasks(self.generator) if self.masks else self.generator)


def _build_networks(
    config: FewshotConfig, types: int, device: torch.device, masks: bool
) -> tuple[Generator, Discriminator]:
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
            masks,
            config.kinds,
        )
        discriminator = Discriminator(
            config.resolution,
            config.channels,
            config.discriminator_width,
            types,
            config.direction,
            config.haar_bands,
            masks,
            config.kinds,
        )
    for network in (generator, discriminator):
        # Convolutions of small images are twice as fast with channels last.
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return generator, discriminator


def _directions(config: FewshotConfig, images: Tensor, type_index: Tensor, types: int) -> PhotographDirections | None:
    return PhotographDirections(images, type_index, types, config.kinds) if config.direction else None


def _by_type_on_cpu(images: Tensor, type_index: Tensor, types: int) -> list[Tensor]:
    return by_type(images.cpu(), type_index, types)


def _augmentation_policy(config: FewshotConfig, photographs: Callable[[], Sequence[Tensor]]) -> AugmentationPolicy:
    strength = Strength(
        config.augment_probability, config.augment_shift, config.augment_brightness, config.augment_contrast
    )
    configured = {name: getattr(config, name) for name in SYMMETRIES}
    return AugmentationPolicy(strength, config.resolution, configured, photographs)


def _adam(network: nn.Module, config: FewshotConfig, captured: bool) -> Adam:
    """For a captured step, the learning rate is a tensor on the device, which the recording reads anew."""
    device = next(network.parameters()).device
    rate = torch.tensor(config.learning_rate, device=device) if captured else config.learning_rate
    return Adam(network.parameters(), rate, betas=(BETA1, BETA2), fused=True, capturable=captured)
