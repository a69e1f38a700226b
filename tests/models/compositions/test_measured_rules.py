"""Turns and scales are those that the defects of a type show."""

import numpy as np
import pytest

from flawsmith.models.compositions import Patch, Rules, measured_rules
from flawsmith.models.compositions.measured_rules import direction
from flawsmith.models.compositions.parts import Mask


def line(angle: float, length: float = 40, width: float = 3, side: int = 81) -> Mask:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    along, across = cos * x - sin * y, sin * x + cos * y
    marked: Mask = (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2)
    return marked


def of(masks: list[Mask], defect_type: str = "scratches") -> list[Patch]:
    return [Patch(np.full(mask.shape, 100, np.uint8), mask, defect_type, "a.png") for mask in masks]


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 135, 170])
def test_the_direction_of_a_line(angle: float) -> None:
    found, ratio = direction(line(angle))
    assert (found - angle + 90) % 180 - 90 == pytest.approx(0, abs=2)
    assert ratio > 8
    assert direction(line(0, 1, 1))[1] == pytest.approx(1)


def test_lines_of_all_directions_may_be_turned_at_will() -> None:
    rules = measured_rules(of([line(angle) for angle in range(0, 180, 9)]))
    assert rules["scratches"].rotation == (-180, 180)


def test_lines_of_one_direction_keep_it() -> None:
    for middle in (2, 90):
        low, high = measured_rules(of([line(middle + shift) for shift in range(-5, 6)]))["scratches"].rotation
        assert -4 < low < 0 < high < 4


def test_sizes_change_by_a_part_of_their_spread() -> None:
    same = measured_rules(of([line(0)] * 10))["scratches"]
    assert same.scale == (1, 1)
    low, high = measured_rules(of([line(0, length) for length in range(36, 46)]))["scratches"].scale
    assert 0.9 < low < 1 < high < 1.1
    wide = measured_rules(of([line(0, length, length / 2) for length in range(4, 76, 3)]))["scratches"]
    assert wide.scale == (0.8, 1.25)


def test_few_or_round_defects_are_not_turned_and_types_are_apart() -> None:
    few = of([line(angle) for angle in range(0, 180, 30)], "cracks")
    round_ones = of([line(0, 9, 9)] * 12, "pits")
    assert measured_rules([*few, *round_ones]) == {"cracks": Rules(), "pits": Rules()}


@pytest.mark.parametrize("angle", [0, 30])
def test_lines_of_the_very_same_direction_are_not_turned(angle: float) -> None:
    low, high = measured_rules(of([line(angle)] * 10))["scratches"].rotation
    assert (low, high) == (0, 0)
    assert np.random.default_rng(0).uniform(low, high) == 0
