"""Straight lines of any direction and number against lines that waver."""

import math

import pytest
import torch
from torch import Tensor

from flawsmith.models.quality.calibration import energy_distance_z
from flawsmith.models.quality.controls import warped
from flawsmith.models.quality.judgement import JudgedPhotographs, judge
from flawsmith.models.quality.spaces.straightness import StraightnessFeatures
from flawsmith.models.quality.wiping import blurred

COUNT, SIDE = 40, 64


def lines(seed: int, *, least: float = 0.0, most: float = 180.0, bend: float = 0.0) -> Tensor:
    """Two bright lines on grain, of random directions in degrees, bent like a bow by some pixels."""
    random = torch.Generator().manual_seed(seed)
    places = torch.arange(SIDE) - SIDE / 2
    images = 100 + 4 * torch.randn(COUNT, 1, SIDE, SIDE, generator=random)
    for _ in range(2):
        share, offset = torch.rand(2, COUNT, 1, 1, generator=random)
        angle = (least + (most - least) * share) * math.pi / 180
        along = places * angle.cos() + places[:, None] * angle.sin()
        across = places[:, None] * angle.cos() - places * angle.sin() - (40 * offset - 20)
        images[:, 0] += 90 * torch.exp(-((across - bend * (along / 32).square()).square() / 3))
    return images.round().clamp(0, 255).byte()


def z(worse: Tensor) -> float:
    """How far they are from straight lines, by features that learned from others."""
    features = StraightnessFeatures(lines(0))
    return energy_distance_z(features(lines(1)), features(worse))


def test_other_straight_lines_are_near() -> None:
    assert abs(z(lines(2))) < 2


@pytest.mark.parametrize("pixels", [0.5, 1, 2])
def test_lines_that_waver_are_far_and_the_farther_the_more(pixels: float) -> None:
    random = torch.Generator().manual_seed(3)
    assert z(warped(lines(1), pixels, random)) > max(5, z(warped(lines(1), pixels / 2, random)))


def test_one_wide_bend_is_far_too() -> None:
    features = StraightnessFeatures(lines(0, least=80, most=100))
    straight, bent = (lines(1, least=80, most=100, bend=bend) for bend in (0, 4))
    assert energy_distance_z(features(straight), features(bent)) > 10


def test_a_little_blur_is_nearer_than_any_wavering() -> None:
    soft = blurred(lines(1).float(), 1).round().byte()
    assert z(soft) < z(warped(lines(1), 0.5, torch.Generator().manual_seed(3))) / 2


def test_lines_straighter_than_those_of_the_photographs_do_not_waver() -> None:
    photographs = lines(0)
    nothing: list[list[Tensor | None]] = [[None] * 28, [None] * 12]
    judged = JudgedPhotographs(["cracks"], [photographs[12:]], [photographs[:12]], nothing[:1], nothing[1:])
    upright = lines(5, least=88, most=92)
    judgement = judge(judged, lambda _, seed, count: upright[torch.arange(seed, seed + count) % COUNT])
    assert any("by the measure 'straightness'" in each for each in judgement.reasons), judgement.reasons
    assert not any("waver" in each for each in judgement.reasons)
