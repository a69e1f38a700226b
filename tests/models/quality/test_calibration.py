"""Distances on the scale of photographs, and of photographs made worse."""

import pytest
import torch
from tests.models.pictures import blurred, streaks

from flawsmith.models.quality.calibration import distances_of, energy_distance_z, random_splits, scale_of
from flawsmith.models.quality.controls import controls
from flawsmith.models.quality.space import Lesson, Space
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.models.quality.steps import result_of
from flawsmith.models.quality.two_sample import energy_distance
from flawsmith.models.quality.wiping import defect_masks

PHOTOGRAPHS = streaks(0, 40).flatten(1).float()


def test_z_is_near_0_for_other_photographs_and_large_for_blurred_ones() -> None:
    other, worse = streaks(1, 40), blurred(streaks(0, 40))
    assert abs(energy_distance_z(PHOTOGRAPHS, other.flatten(1).float())) < 2
    spectrum = next(each for each in SPACES if each.name == "power_spectrum")
    features = result_of(spectrum.prepare(_lesson()))
    assert energy_distance_z(features(streaks(0, 40)), features(worse)) > 10


def test_distances_are_those_of_the_two_sets() -> None:
    samples = PHOTOGRAPHS + 9
    [split] = random_splits(40, 15, splits=1)
    reference, others = split
    scale = scale_of(PHOTOGRAPHS, {"moved": samples}, [split])
    assert scale.photographs.item() == pytest.approx(
        energy_distance(PHOTOGRAPHS[reference], PHOTOGRAPHS[others]), rel=1e-3
    )
    expected = energy_distance(PHOTOGRAPHS[reference], samples[others])
    assert scale.controls["moved"].item() == pytest.approx(expected, rel=1e-3)
    assert distances_of(PHOTOGRAPHS, samples[others], [split]).item() == pytest.approx(expected, rel=1e-3)


def test_a_control_that_changes_nothing_is_not_seen() -> None:
    scale = scale_of(PHOTOGRAPHS, {"nothing": PHOTOGRAPHS, "moved": PHOTOGRAPHS + 90}, random_splits(40, 20))
    assert not scale.sees("nothing")
    assert scale.sees("moved")


@pytest.mark.parametrize("space", SPACES, ids=lambda each: each.name)
def test_each_space_claims_controls_that_there_are_and_gives_each_image_finite_features(space: Space) -> None:
    for channels in (3,) if space.of_color else (1, 3):
        lesson = _lesson(channels)
        assert set(space.claims) <= set(lesson.controls)
        black = torch.zeros(1, channels, 32, 32, dtype=torch.uint8)
        features = result_of(space.prepare(lesson))(torch.cat([lesson.images[:3], black]))
        assert features.shape[0] == 4
        assert torch.isfinite(features).all()


def _lesson(channels: int = 1) -> Lesson:
    images = streaks(2, 24).repeat(1, channels, 1, 1)
    masks = defect_masks(images)
    return Lesson(images, controls(images, masks), images, masks)
