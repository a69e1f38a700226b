"""The dominant direction of drawn lines."""

import math

import pytest
import torch
from tests.models.pictures import noise, streaks
from torch import Tensor

from flawsmith.models.quality.orientation import dominant_directions

SIDE = 64


def line(degrees: float) -> Tensor:
    """A bright line through the middle of grain, ``degrees`` counter-clockwise from level: (1, 1, SIDE, SIDE) uint8."""
    rows, columns = torch.meshgrid(torch.arange(SIDE) - SIDE / 2, torch.arange(SIDE) - SIDE / 2, indexing="ij")
    along = math.radians(degrees)
    away = (columns * math.sin(along) + rows * math.cos(along)).abs()
    grain = 10 * torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return (100 + grain + 100 * torch.exp(-((away / 1.5) ** 2))).clamp(0, 255).byte()[None, None]


@pytest.mark.parametrize("degrees", [10, 45, 80, 100, 135, 170])
def test_a_line_has_its_direction(degrees: float) -> None:
    directions, directed = dominant_directions(line(degrees))
    assert directed.all()
    assert directions.item() == pytest.approx(degrees, abs=2)


def test_a_level_line_is_at_either_end_of_the_range() -> None:
    directions, _ = dominant_directions(line(0))
    assert min(directions.item(), 180 - directions.item()) < 2


def test_streaks_are_upright() -> None:
    directions, directed = dominant_directions(streaks(seed=0))
    assert directed.float().mean() > 0.95
    assert (directions[directed] - 90).abs().median() < 5


def test_noise_seldom_has_a_direction() -> None:
    assert dominant_directions(noise(200))[1].float().mean() < 0.2
