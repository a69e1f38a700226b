"""The published networks."""

import pytest
import torch

from models.dcgan import Discriminator, Generator


def parameters(module: torch.nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_the_articles_networks_have_the_published_numbers_of_parameters() -> None:
    assert parameters(Generator(resolution=128, channels=3, latent_size=100, depth=64, types=1)) == 12_786_560
    assert parameters(Discriminator(resolution=128, channels=3, depth=128, types=1)) == 44_611_072


@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
@pytest.mark.parametrize(("channels", "types"), [(1, 1), (3, 1), (1, 3)])
def test_every_resolution_has_layers_from_latent_to_image_and_from_image_to_logit(
    resolution: int, channels: int, types: int
) -> None:
    generator = Generator(resolution, channels, latent_size=5, depth=2, types=types)
    discriminator = Discriminator(resolution, channels, depth=2, types=types)
    type_index = torch.arange(2) % types
    images = generator(torch.randn(2, 5), type_index)
    assert images.shape == (2, channels, resolution, resolution)
    assert images.abs().max() <= 1
    assert discriminator(images, type_index).shape == (2,)


def test_a_model_of_several_types_draws_each_type_its_own_way() -> None:
    generator = Generator(resolution=32, channels=1, latent_size=5, depth=2, types=2).eval()
    latents = torch.randn(1, 5)
    first, second = (generator(latents, torch.tensor([each])) for each in (0, 1))
    assert not torch.equal(first, second)


def test_the_discriminators_convolutions_are_normalised_to_a_spectral_norm_of_one() -> None:
    discriminator = Discriminator(resolution=32, channels=1, depth=4, types=1)
    for _ in range(30):  # the power iteration settles
        discriminator(torch.randn(4, 1, 32, 32), torch.zeros(4, dtype=torch.int64))
    kernels = [each.weight.flatten(1) for each in discriminator.modules() if isinstance(each, torch.nn.Conv2d)]
    assert len(kernels) == 4
    for kernel in kernels:
        assert torch.linalg.matrix_norm(kernel, 2).item() == pytest.approx(1, abs=0.05)
