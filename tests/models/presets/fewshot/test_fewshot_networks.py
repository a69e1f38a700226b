"""The networks of the preset for few photographs."""

import pytest
import torch
from torch import Tensor

from flawsmith.models.inference.session import InferenceSession, Precision
from flawsmith.models.presets.fewshot.blocks import BandConvolution, NoisyResidual, Upsample
from flawsmith.models.presets.fewshot.haar import inverse_haar
from flawsmith.models.presets.fewshot.networks import Discriminator, Generator, noise_sizes

WAVELET = {"direction": True, "wavelet": True}
NARROW = {"direction": True, "narrow_ends": True}


def as_if_trained(types: int = 1, **ends: bool) -> Generator:
    """A generator whose residual branches are not zero, as after training."""
    torch.manual_seed(0)
    network = Generator(32, 1, style_size=8, width=4, types=types, **ends)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    if network.direction:
        torch.nn.init.normal_(network.directions, std=0.3)
    return network


def latents(network: Generator, count: int) -> Tensor:
    return torch.randn(count, network.latent_size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
@pytest.mark.parametrize(("channels", "types"), [(1, 1), (3, 1), (1, 3)])
@pytest.mark.parametrize("ends", [{}, {"direction": True}, {"wavelet": True}, {"narrow_ends": True}, WAVELET, NARROW])
def test_every_resolution_has_layers_from_latent_to_image_and_from_image_to_logit(
    resolution: int, channels: int, types: int, ends: dict[str, bool]
) -> None:
    generator = Generator(resolution, channels, style_size=5, width=2, types=types, **ends)
    seen = {"direction": ends.get("direction", False), "wavelet": len(ends.keys() - {"direction"}) > 0}
    discriminator = Discriminator(resolution, channels, width=2, types=types, **seen)
    type_index = torch.arange(2) % types
    images = generator(latents(generator, 2), type_index)
    assert images.shape == (2, channels, resolution, resolution)
    assert 0.01 < images.std() < 3
    assert discriminator(images, type_index).shape == (2,)


def test_a_latent_is_style_then_noise_of_rows_columns_and_from_32_pixels_on_of_pixels() -> None:
    assert noise_sizes(64) == [8 + 8, 16 + 16, 32 * 32 + 32 + 32, 64 * 64 + 64 + 64]
    assert Generator(32, 1, style_size=5, width=2, types=1).latent_size == 5 + sum(noise_sizes(32))


def test_noise_changes_the_grain_more_than_the_layout() -> None:
    torch.manual_seed(0)
    network = Generator(32, 1, style_size=8, width=4, types=1)
    latent = latents(network, 8)
    other_noise, other_style = latent.clone(), latent.clone()
    other_noise[:, network.style_size :] = torch.randn(8, sum(noise_sizes(32)))
    other_style[:, : network.style_size] *= -1
    types = torch.zeros(8, dtype=torch.int64)
    image, by_noise, by_style = (network(each, types) for each in (latent, other_noise, other_style))
    assert not torch.equal(image, by_noise)
    coarse = [torch.nn.functional.avg_pool2d(each, 8) for each in (image, by_noise, by_style)]
    assert (coarse[0] - coarse[1]).norm() < 0.2 * (coarse[0] - coarse[2]).norm()


def test_noise_of_a_row_or_column_changes_all_of_it_and_little_else() -> None:
    network, side, place = as_if_trained(), 32, 12
    latent = latents(network, 1)
    types = torch.zeros(1, dtype=torch.int64)
    for first, is_column in ((-2 * side, False), (-side, True)):
        other = latent.clone()
        other[:, first + place] += 1
        changed = (network(other, types) - network(latent, types))[0, 0].abs() > 1e-6
        lines = (changed.T if is_column else changed).all(1).nonzero().flatten().tolist()
        assert lines == [place - 2, place - 1, place, place + 1, place + 2]
        assert changed.sum() == len(lines) * side


@pytest.mark.parametrize("side", [16, 32])
def test_a_feature_changes_its_neighbours_and_its_whole_row_and_column(side: int) -> None:
    torch.manual_seed(0)
    block = NoisyResidual(side, width=4, style_size=8)
    torch.nn.init.normal_(block.after.weight, std=0.2)
    features, style = torch.randn(1, 4, side, side), torch.randn(1, 8)
    noise = torch.randn(1, sum(block.noise_sizes))
    other = features.clone()
    other[:, :, 5, 9] += 1
    changed = (block(other, noise, style) - block(features, noise, style))[0].abs().amax(0) > 1e-6
    expected = torch.zeros(side, side, dtype=torch.bool)
    expected[4:7, :] = expected[:, 8:11] = expected[3:8, 7:12] = True  # of one or two 3x3 convolutions
    assert torch.equal(changed, expected)


def test_the_type_has_no_effect_without_conditioning_and_an_effect_with_it() -> None:
    generator, discriminator = as_if_trained(types=2), Discriminator(32, 1, width=4, types=2)
    torch.nn.init.normal_(discriminator.heads_by_type.weight)
    latent, image = latents(generator, 1), torch.randn(1, 1, 32, 32)
    first, second = torch.tensor([0]), torch.tensor([1])
    assert torch.equal(generator(latent, first), generator(latent, second))
    assert torch.equal(discriminator(image, first), discriminator(image, second))
    for network in (generator, discriminator):
        network.conditioning.fill_(1)
    assert not torch.allclose(generator(latent, first), generator(latent, second))
    assert not torch.allclose(discriminator(image, first), discriminator(image, second))


@pytest.mark.parametrize("channels", [1, 3])
def test_where_features_are_constant_an_image_of_bands_has_no_grid(channels: int) -> None:
    last = BandConvolution(6, channels)
    torch.nn.init.normal_(last.mean)
    images = inverse_haar(last(torch.randn(2, 6, 1, 1).expand(2, 6, 8, 8)))[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(images, images[:, :, :1, :1].expand_as(images))
    assert images.std(0).min() > 0.1


@pytest.mark.parametrize("ends", [{}, NARROW])
def test_an_untrained_image_has_no_checkerboard(ends: dict[str, bool]) -> None:
    """Even and odd rows and columns have equal power; a plain transposed convolution favours some."""
    torch.manual_seed(0)
    network = Generator(64, 1, style_size=64, width=8, types=1, **ends)
    with torch.no_grad():
        images = network(latents(network, 64), torch.zeros(64, dtype=torch.int64))[:, :, 8:-8, 8:-8]
    powers = torch.stack([images[:, :, row::2, column::2].square().mean() for row in (0, 1) for column in (0, 1)])
    assert powers.max() / powers.min() < 1.05


def test_narrow_ends_do_not_darken_the_edges() -> None:
    torch.manual_seed(0)
    doubling, last = Upsample(6, 3, repeat_edges=True), Generator(32, 1, 5, 6, 1, narrow_ends=True).last
    images = last(doubling(torch.randn(2, 6, 1, 1).expand(2, 6, 8, 8)))
    torch.testing.assert_close(images, images[:, :, :1, :1].expand_as(images))
    assert images.abs().min() > 0.01


def test_with_direction_noise_of_a_line_replaces_noise_of_rows_and_columns() -> None:
    assert noise_sizes(64, direction=True) == [8, 16, 32 * 32 + 32, 64 * 64 + 64]
    assert Generator(32, 1, 5, 2, 1, direction=True).latent_size == 5 + 8 + 16 + 32 * 32 + 32 + 2
    assert Generator(32, 1, 5, 2, 1, wavelet=True).latent_size == 5 + 16 + 32 + 32 * 32
    for ends in (WAVELET, NARROW):
        assert Generator(64, 1, 5, 2, 1, **ends).latent_size == 5 + 8 + 16 + 32 * 32 + 32 + 64 * 64 + 64 + 2


@pytest.mark.parametrize("ends", [{"direction": True}, WAVELET, NARROW])
def test_an_image_follows_the_direction_it_is_given_and_else_the_one_it_draws(ends: dict[str, bool]) -> None:
    network, types = as_if_trained(**ends), torch.zeros(4, dtype=torch.int64)
    latent = latents(network, 4)
    drawn = network.drawn_directions(latent, types)
    assert len(drawn.unique(dim=0)) == 4
    assert torch.equal(network(latent, types), network(latent, types, drawn))
    assert not torch.allclose(network(latent, types), network(latent, types, drawn.flip(0)))
    asked = network.drawn_directions(latent, types, torch.tensor([30.0, 60]).expand(4, 2))
    angles = torch.atan2(asked[:, 1], asked[:, 0]).rad2deg() / 2
    assert ((angles > 29.9) & (angles < 60.1)).all()


def test_the_last_two_numbers_of_a_latent_matter_only_for_the_direction() -> None:
    network, types = as_if_trained(**NARROW), torch.zeros(1, dtype=torch.int64)
    latent = latents(network, 1)
    other = latent.clone()
    other[:, -2:] *= -1
    given = torch.tensor([[0.1, 0.4]])
    assert torch.equal(network(latent, types, given), network(other, types, given))
    assert not torch.equal(network(latent, types), network(other, types))


def test_noise_of_a_line_of_a_level_image_changes_its_row_and_little_else() -> None:
    network, types, level = as_if_trained(direction=True), torch.zeros(1, dtype=torch.int64), torch.tensor([[0.9, 0.0]])
    latent, side, place = latents(network, 1), 32, 12
    other = latent.clone()
    other[:, -2 - side + place] += 1
    changed = (network(other, types, level) - network(latent, types, level))[0, 0].abs() > 1e-6
    assert changed.all(1).nonzero().flatten().tolist() == [place - 2, place - 1, place, place + 1, place + 2]
    assert changed.sum() == 5 * side


def test_a_discriminator_with_direction_depends_on_it_once_it_has_learned_to() -> None:
    network, images, types = Discriminator(32, 1, 4, 1, **WAVELET), torch.randn(2, 1, 32, 32), torch.zeros(2).long()
    directions = torch.tensor([[0.5, 0.2], [-0.1, 0.6]])
    assert torch.equal(network(images, types, directions), network(images, types, directions.flip(0)))
    torch.nn.init.normal_(network.heads_by_direction.weight)
    assert not torch.allclose(network(images, types, directions), network(images, types, directions.flip(0)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("ends", [{}, {"direction": True}, WAVELET, NARROW])
def test_an_image_does_not_depend_on_its_neighbours(precision: Precision, ends: dict[str, bool]) -> None:
    network = as_if_trained(types=2, **ends)
    network.conditioning.fill_(1)
    sample = InferenceSession(network, network.latent_size, 16, precision, torch.device("cpu")).sample
    given, types = latents(network, 16), torch.arange(16) % 2
    batch = sample(given, types)
    assert batch.float().std() > 10
    for place in (0, 7, 15):
        assert torch.equal(sample(given[place : place + 1], types[place : place + 1])[0], batch[place])
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    assert torch.equal(sample(given[order], types[order]), batch[order])
