"""A training run without its I/O: data order, latents, updates, and all of its state as tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Adam

from models.dcgan import Discriminator, Generator
from models.distance import PatchDistance
from models.objectives import fake_loss, real_loss

PREVIEW_COLUMNS = 8  # fixed latents in a row of the sample grid
EVALUATED = 64  # images whose distance to the photographs is measured
RENDERED_AT_ONCE = 16


@dataclass(frozen=True)
class DcganConfig:
    """A run's numbers; their defaults, bounds and units are documented with the preset's words."""

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


class Trainer:
    """The article's run on one dataset, step by step.

    Everything random comes from one CPU generator seeded by ``config.seed``, whatever the device, and that generator's
    state is part of `state_dict`: a run that is saved and loaded goes on as if it had never stopped.

    Args:
        config: the run's numbers.
        images: (N, channels, resolution, resolution) uint8.
        type_index: (N,) int64, each image's defect type.
        types: number of defect types.
        device: where the networks live; the images stay where they are and travel batch by batch.
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
            ).to(device)
            self.discriminator = Discriminator(
                config.resolution, config.channels, config.discriminator_depth, types
            ).to(device)
        betas = (config.beta1, config.beta2)
        self.generator_optimiser = Adam(self.generator.parameters(), config.generator_learning_rate, betas=betas)
        self.discriminator_optimiser = Adam(
            self.discriminator.parameters(), config.discriminator_learning_rate, betas=betas
        )
        self.preview_type_index = torch.arange(types).repeat_interleave(PREVIEW_COLUMNS)
        self.preview_latents = self._latents(len(self.preview_type_index))
        self.completed_steps = 0
        self.order = torch.randperm(len(images), generator=self.random)
        evaluation = torch.Generator().manual_seed(config.seed)  # its own: evaluating changes nothing of the run
        self._evaluation_latents = torch.randn(EVALUATED, config.latent_size, generator=evaluation)
        self._distance_to_photographs: PatchDistance | None = None

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.images) // self.config.batch_size)

    def step(self) -> dict[str, float]:
        """One update of the discriminator, then one of the generator; returns the losses and mean scores.

        ``real_score`` and ``fake_score`` are the discriminator's mean probability of "real", 0 to 1, before its update.
        An epoch's last batch is as short as what is left: every label takes its shape from the batch, where the
        article's loop made labels of the full batch size and stopped.
        """
        chosen = self._next_batch()
        real = self.images[chosen].to(self.device).float() / 127.5 - 1
        type_index = self.type_index[chosen].to(self.device)
        fake = self.generator(self._latents(len(chosen)).to(self.device), type_index)

        self.discriminator_optimiser.zero_grad()
        real_logits = self.discriminator(real, type_index)
        loss_on_real = real_loss(real_logits)
        loss_on_real.backward()
        fake_logits = self.discriminator(fake.detach(), type_index)
        loss_on_fake = fake_loss(fake_logits)
        loss_on_fake.backward()
        self.discriminator_optimiser.step()

        # The generator's gradient passes through the discriminator; the discriminator's own is not needed here.
        self.discriminator.requires_grad_(False)
        self.generator_optimiser.zero_grad()
        generator_loss = real_loss(self.discriminator(fake, type_index))
        generator_loss.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)

        self.completed_steps += 1
        return {
            "discriminator_loss": (loss_on_real + loss_on_fake).item(),
            "generator_loss": generator_loss.item(),
            "real_score": real_logits.detach().sigmoid().mean().item(),
            "fake_score": fake_logits.detach().sigmoid().mean().item(),
        }

    def preview(self) -> Tensor:
        """The same latents at every step, `PREVIEW_COLUMNS` a defect type: (types * columns, C, H, W) uint8."""
        return render(self.generator, self.preview_latents.to(self.device), self.preview_type_index.to(self.device))

    def evaluate(self) -> float:
        """Patch distance of `EVALUATED` images, the types in turn, to the photographs: see `PatchDistance`."""
        if self._distance_to_photographs is None:
            self._distance_to_photographs = PatchDistance(self.images)
        type_index = torch.arange(EVALUATED) % self.types
        batches = zip(self._evaluation_latents.split(RENDERED_AT_ONCE), type_index.split(RENDERED_AT_ONCE), strict=True)
        images = [render(self.generator, z.to(self.device), types.to(self.device)) for z, types in batches]
        return self._distance_to_photographs(torch.cat(images))

    def networks(self) -> dict[str, dict[str, Tensor]]:
        """``generator`` and ``discriminator``: a copy of their weights on the CPU, safe from further steps."""
        return {
            name: {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}
            for name, module in self._modules()
        }

    def load_networks(self, networks: dict[str, dict[str, Tensor]]) -> None:
        """Takes over what `networks` of a run with the same shape gave; optimisers and random state stay as they are.

        Raises:
            KeyError, RuntimeError: the weights are of another shape.
        """
        for name, module in self._modules():
            module.load_state_dict(networks[name])

    def state_dict(self) -> dict[str, Tensor]:
        """The whole run, flat: networks, optimisers, random state, data order and position."""
        state = {
            "random": self.random.get_state(),
            "order": self.order,
            "completed_steps": torch.tensor(self.completed_steps),
            "preview_latents": self.preview_latents,
        }
        for name, module in self._modules():
            state |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        for name, optimiser in self._optimisers():
            for index, slots in optimiser.state_dict()["state"].items():
                state |= {f"{name}.{index}.{slot}": value for slot, value in slots.items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over a state that `state_dict` of a run with the same configuration gave.

        Raises:
            KeyError, RuntimeError: the state is of another configuration.
        """
        self.random.set_state(state["random"])
        self.order = state["order"]
        self.completed_steps = int(state["completed_steps"])
        self.preview_latents = state["preview_latents"]
        for name, module in self._modules():
            module.load_state_dict(_below(state, name))
        for name, optimiser in self._optimisers():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in _below(state, name).items():
                index, slot = key.split(".")
                slots.setdefault(int(index), {})[slot] = value
            optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})

    def _modules(self) -> list[tuple[str, nn.Module]]:
        return [("generator", self.generator), ("discriminator", self.discriminator)]

    def _optimisers(self) -> list[tuple[str, Adam]]:
        return [
            ("generator_optimiser", self.generator_optimiser),
            ("discriminator_optimiser", self.discriminator_optimiser),
        ]

    def _next_batch(self) -> Tensor:
        position = self.completed_steps % self.steps_per_epoch
        if position == 0 and self.completed_steps:
            self.order = torch.randperm(len(self.images), generator=self.random)
        size = self.config.batch_size
        return self.order[position * size : (position + 1) * size]

    def _latents(self, count: int) -> Tensor:
        return torch.randn(count, self.config.latent_size, generator=self.random)


def render(generator: nn.Module, latents: Tensor, type_index: Tensor) -> Tensor:
    """Images of these latents as bytes: (B, C, H, W) uint8 on the CPU; the generator's mode is left as it was.

    In evaluation mode batch norm uses its running statistics, so that no image depends on its neighbours.
    """
    training = generator.training
    generator.eval()
    with torch.inference_mode():
        images: Tensor = generator(latents, type_index)
    generator.train(training)
    return to_bytes(images).cpu()


def to_bytes(images: Tensor) -> Tensor:
    """Values in [-1, 1] to gray levels 0 … 255: uint8 of the same shape."""
    return (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{prefix}."): value for key, value in state.items() if key.startswith(f"{prefix}.")}
