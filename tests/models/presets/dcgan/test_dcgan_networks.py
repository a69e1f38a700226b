"""The networks of the 2019 article."""

import pytest
import torch
from torch.nn.utils.parametrizations import spectral_norm

from flawsmith.models.presets.dcgan.networks import Discriminator, Generator
from flawsmith.models.presets.dcgan.spectral_convolution import SpectralConvolution


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


def test_a_generator_of_several_types_gives_different_images_of_one_latent() -> None:
    generator = Generator(resolution=32, channels=1, latent_size=5, depth=2, types=2).eval()
    latents = torch.randn(1, 5)
    first, second = (generator(latents, torch.tensor([each])) for each in (0, 1))
    assert not torch.equal(first, second)


def test_the_discriminators_convolutions_are_normalised_to_a_spectral_norm_of_one() -> None:
    discriminator = Discriminator(resolution=32, channels=1, depth=4, types=1)
    for _ in range(30):  # until the power iteration converges
        discriminator(torch.randn(4, 1, 32, 32), torch.zeros(4, dtype=torch.int64))
    convolutions = [each for each in discriminator.modules() if isinstance(each, SpectralConvolution)]
    assert len(convolutions) == 4
    for each in convolutions:
        pixels = torch.randn(1, each.weight.shape[1], 4, 4)  # as large as the kernel: one inner product an output
        norm = torch.linalg.matrix_norm(each.weight.flatten(1), 2)
        each.stride, each.padding = 1, 0
        torch.testing.assert_close(
            each(pixels).flatten(), each.weight.flatten(1) @ pixels.flatten() / norm, rtol=0.05, atol=1e-4
        )


def test_a_spectral_convolution_agrees_with_pytorchs_in_values_and_gradients() -> None:
    """PyTorch's divides the kernel instead of the output. Its saved state can be loaded."""
    reference = spectral_norm(torch.nn.Conv2d(3, 6, 4, 2, 1, bias=False)).double()
    ours = SpectralConvolution(3, 6, stride=2, padding=1).double()
    ours.load_state_dict(reference.state_dict())
    ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for _ in range(4):
        images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
        expected, made = reference(images), ours(images)
        torch.testing.assert_close(made, expected)
        for each in (expected, made):
            each.square().sum().backward()
    theirs = reference.parametrizations.weight.original.grad
    torch.testing.assert_close(ours.weight.grad, theirs)
