"""The part of a photograph is found where it lies before a uniform background, and nowhere else."""

import numpy as np
import pytest

from flawsmith.models.compositions import part_region, polygon_region
from flawsmith.models.compositions.parts import Mask, Pixels
from flawsmith.models.drawn_surfaces import picture

SHAPE = (300, 400)


def on_background(part: Mask, surface: int, background: int, seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, 6, part.shape)
    return np.clip(np.where(part, surface, background) + noise, 0, 255).astype(np.uint8)


def oval(across: float, down: float) -> Mask:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    marked: Mask = ((columns - 200) / across) ** 2 + ((rows - 150) / down) ** 2 <= 1
    return marked


@pytest.mark.parametrize(("surface", "background"), [(150, 20), (60, 230)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_part_before_a_background_is_found(surface: int, background: int, channels: int) -> None:
    part = oval(140, 100)
    pixels = on_background(part, surface, background)
    region = part_region(pixels if channels == 1 else np.stack([pixels] * 3, 2))
    assert not region.whole
    assert not (region.mask & ~part).any()
    assert region.mask.sum() > 0.9 * part.sum()
    assert "the part" in region.reason


def test_a_hole_with_the_backgrounds_level_is_the_parts_own() -> None:
    part = oval(140, 100)
    region = part_region(on_background(part & ~oval(20, 20), 150, 20))
    assert region.mask[150, 200]


def test_large_photographs_are_looked_at_coarsely_and_the_border_stays_inside() -> None:
    part = np.kron(oval(140, 100), np.ones((7, 7), bool))
    region = part_region(on_background(part, 150, 20))
    assert region.mask.shape == part.shape
    assert not (region.mask & ~part).any()
    assert region.mask.sum() > 0.85 * part.sum()


def test_photographs_of_nothing_but_surface_are_all_region() -> None:
    whole = [part_region(picture(seed, 128, 1, ()).pixels[0]) for seed in range(150)]
    assert sum(each.whole for each in whole) >= 149
    assert all(each.mask.all() for each in whole if each.whole)
    assert all(each.reason.startswith("the whole photograph: ") for each in whole if each.whole)


def test_stripes_shadows_and_two_parts_are_no_part() -> None:
    stripes = np.zeros(SHAPE, bool)
    stripes[:, ::40] = stripes[:, 1::40] = stripes[:, 10:20] = stripes[:, 100:180] = stripes[:, 300:350] = True
    half = np.zeros(SHAPE, bool)
    half[:, :200] = True
    pair = np.roll(oval(60, 60), -100, 1) | np.roll(oval(60, 60), 100, 1)
    assert [part_region(on_background(each, 150, 20)).whole for each in (stripes, half, pair)] == [True] * 3
    assert part_region(np.full((50, 50), 7, np.uint8)).whole
    assert part_region(np.full((1, 1), 7, np.uint8)).whole


def test_a_polygon_marks_the_pixels_whose_middles_it_holds() -> None:
    square = polygon_region([(2, 1), (6, 1), (6, 4), (2, 4)], width=8, height=5)
    expected = np.zeros((5, 8), bool)
    expected[1:4, 2:6] = True
    assert np.array_equal(square, expected)
    triangle = polygon_region([(0, 0), (100, 0), (0, 100)], width=100, height=100)
    assert triangle.sum() == pytest.approx(5000, rel=0.02)
    assert not triangle[60, 60]
    beyond = polygon_region([(-50, -50), (300, -50), (300, 300), (-50, 300)], width=20, height=10)
    assert beyond.all()
    bow = polygon_region([(0, 0), (40, 40), (40, 0), (0, 40)], width=40, height=40)
    assert bow.sum() == pytest.approx(800, rel=0.06)
    with pytest.raises(ValueError, match="at least 3 corners, not 2"):
        polygon_region([(0, 0), (1, 1)], width=4, height=4)
