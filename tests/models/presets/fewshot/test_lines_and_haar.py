"""Noise along lines, and the Haar transform."""

import torch

from flawsmith.models.presets.fewshot.haar import haar, inverse_haar
from flawsmith.models.presets.fewshot.lines import level_and_upright, line_noise, weighted_noise
from flawsmith.models.quality.orientation import angles_and_strengths

SIDE = 32


def directions(*degrees: float) -> torch.Tensor:
    doubled = torch.deg2rad(2 * torch.tensor(degrees))
    return torch.stack([doubled.cos(), doubled.sin()], 1)


def test_noise_of_a_level_image_is_one_value_a_row_and_of_an_upright_one_one_a_column() -> None:
    noise = torch.randn(2, SIDE)
    level, upright = line_noise(noise, directions(0, 90))
    assert torch.equal(level, noise[0].view(1, SIDE, 1).expand(1, SIDE, SIDE))
    torch.testing.assert_close(upright, noise[1].view(1, 1, SIDE).expand(1, SIDE, SIDE), atol=1e-4, rtol=0)


def test_noise_lies_along_the_direction() -> None:
    asked = torch.arange(0.0, 180, 15)
    noise = torch.randn(len(asked), SIDE, generator=torch.Generator().manual_seed(0))
    pictures = (128 + 30 * line_noise(noise, directions(*asked.tolist()))).clamp(0, 255).byte()
    found, strengths = angles_and_strengths(pictures)
    assert ((found - asked + 90) % 180 - 90).abs().max() < 4
    assert strengths.min() > 0.8


def test_noise_of_every_direction_has_the_same_variance_everywhere() -> None:
    for degrees in (0, 30, 45, 110):
        noise = torch.randn(4000, SIDE, generator=torch.Generator().manual_seed(0))
        spread = line_noise(noise, directions(degrees).expand(4000, 2)).std(0)
        assert (spread - 1).abs().max() < 0.06


def test_lines_are_level_or_upright_but_never_both() -> None:
    level, upright = (each.flatten() for each in level_and_upright(directions(0, 30, 45, 90, 160)))
    assert (level * upright).max() == 0
    assert level.argsort(descending=True)[:3].tolist() == [0, 4, 1]
    assert upright.argmax() == 3
    assert level_and_upright(0.01 * directions(0))[0] < 0.2  # a faint direction hardly counts


def test_weighted_noise_is_the_sum_of_pictures_times_strengths() -> None:
    strengths, noise = torch.randn(3, 2, 5), torch.randn(3, 2, 8, 8)
    expected = (strengths[..., None, None] * noise[:, :, None]).sum(1)
    torch.testing.assert_close(weighted_noise(strengths, noise), expected)


def test_haar_is_orthonormal_and_has_an_inverse() -> None:
    images = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    bands = haar(images)
    assert bands.shape == (2, 12, 4, 6)
    torch.testing.assert_close(inverse_haar(bands), images)
    torch.testing.assert_close(bands.square().sum(), images.square().sum())
    matrix = torch.stack([haar(each.view(1, 1, 4, 4)).flatten() for each in torch.eye(16)])
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(16))


def test_haars_first_band_is_the_mean_and_the_others_are_differences() -> None:
    level = torch.zeros(1, 1, 4, 4)
    level[:, :, ::2] = 1
    mean, across, down, diagonal = haar(level)[0]
    assert (mean == 1).all()
    assert (down == 1).all()
    assert not across.any()
    assert not diagonal.any()
