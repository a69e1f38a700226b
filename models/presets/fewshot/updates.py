"""What a `fewshot` step computes on the device: the update of the discriminator and that of the generator."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.optim import Optimizer

from flawsmith.models.presets.fewshot.directions import augmented_directions
from flawsmith.models.presets.fewshot.discriminator_pass import DiscriminatorPass
from flawsmith.models.presets.fewshot.networks import Discriminator
from flawsmith.models.training.augmentation import AugmentationParameters, augment
from flawsmith.models.training.objectives import relativistic_discriminator_loss, relativistic_generator_loss
from flawsmith.models.training.share import Share


@dataclass(frozen=True)
class Pairs:
    """Photographs and their generated partners.

    Attributes:
        real, fake: (B, C, side, side) float32 from -1 to 1; with masks, they are the last channel.
        types: (B,) int64, of both partners.
        directions: (B, 2 + K), of both partners; None for networks without direction.
    """

    real: Tensor
    fake: Tensor
    types: Tensor
    directions: Tensor | None


@dataclass(frozen=True)
class View:
    """How the discriminator sees the images of a batch in one update; partners alike.

    Attributes:
        parameters: of the augmentation.
        masks_shown: (B,) bool, which pairs it sees with their masks; of the others it sees the images alone. None where
            there are no masks.
    """

    parameters: AugmentationParameters
    masks_shown: Tensor | None

    def __call__(self, images: Tensor) -> Tensor:
        """(n B, C, side, side) -> (n B, C, side, side)."""
        if self.masks_shown is None:
            return _channels_last(augment(images, self.parameters))
        shown = self.masks_shown.repeat(len(images) // len(self.masks_shown))[:, None, None, None]
        masked = torch.cat([images[:, :-1], torch.where(shown, images[:, -1:], 0)], 1)
        return _channels_last(augment(masked, self.parameters, images.shape[1] - 1))

    def linear(self, differences: Tensor) -> Tensor:
        """How differences of images change: `__call__` is linear but for the brightness."""
        brightness = torch.zeros_like(self.parameters.brightness)
        return replace(self, parameters=replace(self.parameters, brightness=brightness))(differences)

    def directions(self, directions: Tensor | None) -> Tensor | None:
        """Those of the images as it sees them, (B, 2 + K)."""
        return None if directions is None else augmented_directions(directions, self.parameters)


def update_discriminator(
    network: Discriminator, optimiser: Optimizer, pairs: Pairs, view: View, gamma: Tensor, share: Share
) -> dict[str, Tensor]:
    """One step on the relativistic loss and both gradient penalties, of weight ``gamma``, () float32.

    The pairs are the ``share`` of this process.
    """
    images = torch.cat([pairs.real, pairs.fake.detach()]).requires_grad_()
    seen = view(images)
    told = view.directions(pairs.directions)
    forward = DiscriminatorPass(
        network, seen.detach(), pairs.types.repeat(2), None if told is None else told.repeat(2, 1)
    )
    logits = forward.logits.requires_grad_()
    loss = relativistic_discriminator_loss(*logits.chunk(2))
    (weights,) = torch.autograd.grad(loss, logits)
    # The penalty is on the images before their augmentation, so its gradient passes back through the augmentation. A
    # mask that is not shown is no input, and is not penalised.
    (gradients,) = torch.autograd.grad(seen, images, forward.image_gradients())
    forward.set_gradients(weights, view.linear(gamma / len(pairs.real) * gradients))
    share.average_gradients(network)
    optimiser.step()
    real_penalty, fake_penalty = (gamma / 2 * gradients.square().sum((1, 2, 3))).view(2, -1).mean(1)
    real_logits, fake_logits = logits.detach().chunk(2)
    return {
        "discriminator_loss": loss.detach(),
        "real_penalty": real_penalty,
        "fake_penalty": fake_penalty,
        "sign_rate": (real_logits - fake_logits).sign().mean(),
        "margin": (real_logits - fake_logits).mean(),
    }


def update_generator(
    network: Discriminator, optimiser: Optimizer, pairs: Pairs, view: View, share: Share
) -> dict[str, Tensor]:
    """One step on the relativistic loss.

    Args:
        network: the discriminator, which is not changed.
        optimiser: of the generator that made the pairs' images.
        pairs: with the gradients of their images.
        view: of the discriminator.
        share: of this process, which the pairs are.
    """
    told = view.directions(pairs.directions)
    with torch.no_grad():
        real_logits = network(view(pairs.real), pairs.types, told)
    # The gradient passes through the discriminator; the discriminator's own is not needed here.
    network.requires_grad_(False)
    fake_logits = network(view(pairs.fake), pairs.types, told)
    optimiser.zero_grad()
    loss = relativistic_generator_loss(real_logits, fake_logits)
    share.backward(loss)
    optimiser.step()
    network.requires_grad_(True)
    return {"generator_loss": loss.detach()}


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
