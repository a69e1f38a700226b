"""The training loop of the 2019 article, unchanged, for comparison with Flawsmith's own.

The discriminator makes two passes, then the generator one, each with labels and binary cross-entropy on probabilities.
All gradients are computed everywhere, and every step fetches four numbers from the device.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim import Adam

from flawsmith.models.presets.dcgan.networks import Discriminator, Generator
from flawsmith.models.presets.dcgan.spectral_convolution import SIDE, SpectralConvolution
from flawsmith.models.presets.dcgan.trainer import DcganConfig


class ArticleLoop:
    """Trains on (N, C, H, W) uint8 images of one type, from the same initial weights as `DcganTrainer`."""

    def __init__(self, config: DcganConfig, images: Tensor, device: torch.device) -> None:
        self.config, self.device = config, device
        self.images = images.float() / 127.5 - 1
        self.random = torch.Generator().manual_seed(config.seed)
        torch.manual_seed(config.seed)
        self.generator = Generator(config.resolution, config.channels, config.latent_size, config.generator_depth, 1)
        self.generator.to(device)
        self.discriminator = Discriminator(config.resolution, config.channels, config.discriminator_depth, 1)
        self.discriminator.layers = nn.Sequential(*map(_article_layer, self.discriminator.layers)).to(device)
        betas = (config.beta1, config.beta2)
        self.generator_optimiser = Adam(self.generator.parameters(), config.generator_learning_rate, betas=betas)
        self.discriminator_optimiser = Adam(
            self.discriminator.parameters(), config.discriminator_learning_rate, betas=betas
        )
        self.order = torch.randperm(len(images), generator=self.random)
        self.position = 0

    def step(self) -> dict[str, float]:
        """Updates each network once; returns losses and scores."""
        loss, size = nn.BCELoss(), self.config.batch_size
        if self.position >= len(self.order):
            self.order, self.position = torch.randperm(len(self.images), generator=self.random), 0
        real = self.images[self.order[self.position : self.position + size]].to(self.device)
        self.position += size
        types = torch.zeros(len(real), dtype=torch.int64, device=self.device)
        yes, no = torch.ones(len(real), device=self.device), torch.zeros(len(real), device=self.device)

        self.discriminator.zero_grad()
        on_real = self.discriminator(real, types).sigmoid()
        loss_on_real = loss(on_real, yes)
        loss_on_real.backward()
        latents = torch.randn(len(real), self.config.latent_size, generator=self.random)
        fake = self.generator(latents.to(self.device), types)
        on_fake = self.discriminator(fake.detach(), types).sigmoid()
        loss_on_fake = loss(on_fake, no)
        loss_on_fake.backward()
        self.discriminator_optimiser.step()

        self.generator.zero_grad()
        generator_loss = loss(self.discriminator(fake, types).sigmoid(), yes)
        generator_loss.backward()
        self.generator_optimiser.step()
        return {
            "discriminator_loss": loss_on_real.item() + loss_on_fake.item(),
            "generator_loss": generator_loss.item(),
            "real_score": on_real.mean().item(),
            "fake_score": on_fake.mean().item(),
        }


def _article_layer(layer: nn.Module) -> nn.Module:
    """The article's spectral convolution with the same weights: it normalises its kernel in every pass."""
    if not isinstance(layer, SpectralConvolution):
        return layer
    outputs, inputs = layer.weight.shape[:2]
    convolution = nn.Conv2d(inputs, outputs, SIDE, layer.stride, layer.padding, bias=False)
    normalised = spectral_norm(convolution)
    normalised.load_state_dict(
        {
            "parametrizations.weight.original": layer.weight.detach(),
            "parametrizations.weight.0._u": layer.left,
            "parametrizations.weight.0._v": layer.right.view(SIDE, SIDE, inputs).permute(2, 0, 1).flatten(),
        }
    )
    return normalised
