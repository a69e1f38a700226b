"""Density, coverage and kernel distance rank photographs before blur, and say nothing about too few."""

import pytest
from tests.models.pictures import blots, blurred

from flawsmith.models.quality.neighbourhoods import neighbourhood_figures


def test_blurred_samples_are_worse_than_photographs() -> None:
    training, holdout = blots(seed=0, count=120), blots(seed=1, count=30)
    blur = blurred(blurred(blurred(blots(seed=3, count=120))))
    figures = neighbourhood_figures(
        blur, training, holdout, {"blurred": blur, "new photographs": blots(seed=4, count=120)}
    )
    density, coverage, kernel = figures
    assert [each.name for each in figures] == ["density", "coverage", "mmd_poly"]
    assert all(each.n == 30 for each in figures)
    assert coverage.value < coverage.photographs / 2
    assert density.value < density.photographs
    assert kernel.value > 10 * abs(kernel.photographs)
    assert coverage.controls["new photographs"] > 0.8 * coverage.photographs
    assert kernel.interval[0] <= kernel.value <= kernel.interval[1]


def test_without_a_holdout_halves_are_compared() -> None:
    figures = neighbourhood_figures(blots(seed=2, count=60), blots(seed=0, count=44), blots(seed=1, count=0), {})
    assert {each.n for each in figures} == {22}
    assert figures[1].value > 0.8 * figures[1].photographs


def test_too_few_photographs_are_not_compared() -> None:
    assert neighbourhood_figures(blots(seed=2), blots(seed=0, count=19), blots(seed=1, count=9), {}) == []


@pytest.mark.parametrize(("training", "holdout", "n"), [(45, 0, 22), (25, 40, 25)])
def test_as_many_photographs_are_compared_on_either_side(training: int, holdout: int, n: int) -> None:
    figures = neighbourhood_figures(
        blots(seed=2, count=60), blots(seed=0, count=training), blots(seed=1, count=holdout), {}
    )
    assert [each.n for each in figures] == [n] * 3


def test_fewer_samples_than_photographs_give_no_figure() -> None:
    assert neighbourhood_figures(blots(seed=2, count=5), blots(seed=0, count=44), blots(seed=1, count=30), {}) == []
