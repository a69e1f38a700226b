"""Drawn photographs: repeatable, varied in every respect that a prior should learn."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from flawsmith.models.drawn_surfaces import FLAWS, SURFACES, Picture, draw, picture
from flawsmith.models.quality.orientation import dominant_directions

BINS = 6


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [picture(seed, 64, 1) for seed in range(600)]


@pytest.mark.parametrize(("side", "channels"), [(32, 1), (64, 3), (75, 1), (128, 3), (256, 1)])
def test_sides_and_channels(side: int, channels: int) -> None:
    pixels = draw(3, side, channels)
    assert pixels.shape == (channels, side, side)
    assert pixels.dtype == np.uint8


def test_a_seed_draws_the_same_bytes_in_any_process_and_order() -> None:
    draw(8, 64, 3)
    here = draw(7, 64, 3).tobytes()
    code = (
        "import sys; from flawsmith.models.drawn_surfaces import draw as d; sys.stdout.buffer.write(d(7, 64, 3).data)"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert here == elsewhere


def test_the_flaws_that_are_asked_for_lie_on_the_seeds_surface() -> None:
    for seed in range(12):
        clean, flawed = picture(seed, 128, 1, ()), picture(seed, 128, 1, ["pores"])
        assert clean.surface == flawed.surface == picture(seed, 128, 1).surface
        assert clean.flaws == ()
        assert not clean.mask.any()
        assert flawed.flaws == ("pores",)
        assert flawed.mask.shape == (128, 128)
        assert 0 < flawed.mask.sum() < 5000


def test_the_mask_marks_what_the_flaws_changed() -> None:
    told = 0
    for seed in range(40):
        flawed = picture(seed, 128, 1, ["blotches"])
        values = flawed.pixels[0].astype(float)
        if 100 < flawed.mask.sum() < 8000:
            told += abs(values[flawed.mask].mean() - values[~flawed.mask].mean()) > 4
    assert told > 20


def test_large_pictures_can_be_drawn() -> None:
    large = picture(1, 1024, 3, ())
    assert large.pixels.shape == (3, 1024, 1024)


def test_drawing_leaves_others_chance_alone() -> None:
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    draw(1, 64, 1)
    assert np.random.random() == expected


def test_seeds_draw_different_pictures(pictures: list[Picture]) -> None:
    assert len({each.pixels.tobytes() for each in pictures}) == len(pictures)


def test_every_surface_and_flaw_occurs_and_clean_ones_too(pictures: list[Picture]) -> None:
    assert {each.surface for each in pictures} == set(SURFACES)
    flaws = Counter(flaw for each in pictures for flaw in each.flaws)
    assert set(flaws) == set(FLAWS)
    assert 0.05 < sum(not each.flaws for each in pictures) / len(pictures) < 0.25
    assert any(len(each.flaws) == 2 for each in pictures)


def test_every_direction_occurs(pictures: list[Picture]) -> None:
    """Upright and level ones most, as cameras are aligned, but slanted ones often enough to learn them."""
    images = torch.from_numpy(np.stack([each.pixels for each in pictures]))
    directions, directed = dominant_directions(images)
    bins = ((directions[directed] + 90 / BINS) // (180 / BINS)).long() % BINS
    shares = torch.bincount(bins, minlength=BINS) / len(bins)
    assert shares.min() > 0.04, shares
    assert set(shares.topk(2).indices.tolist()) == {0, BINS // 2}, shares


def test_gray_levels_and_contrasts_are_as_wide_as_in_public_sets(pictures: list[Picture]) -> None:
    images = np.stack([each.pixels for each in pictures]).astype(np.float32)
    means, contrasts = images.mean((1, 2, 3)), images.std((1, 2, 3))
    assert np.percentile(means, 5) < 70 < 190 < np.percentile(means, 95)
    assert np.percentile(contrasts, 5) < 9 < 35 < np.percentile(contrasts, 95)
    assert contrasts.min() > 0.3, "nothing to be seen"


def test_channels_of_a_color_picture_belong_together() -> None:
    pictures = [draw(seed, 64, 3).reshape(3, -1).astype(np.float32) for seed in range(60)]
    loud = [each for each in pictures if each.std(1).min() > 4]
    assert np.median([np.corrcoef(each)[0, 2] for each in loud]) > 0.8
    assert np.median([np.ptp(each.mean(1)) for each in pictures]) > 5, "hardly any color"


@pytest.mark.parametrize(("side", "channels", "wrong"), [(31, 1, "side"), (1025, 1, "side"), (64, 2, "channels")])
def test_what_cannot_be_drawn_is_refused(side: int, channels: int, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        draw(0, side, channels)


def test_the_command_writes_the_pictures_of_its_seeds(tmp_path: Path) -> None:
    target = tmp_path / "drawn.npy"
    command = [sys.executable, "-m", "flawsmith.models.drawn_surfaces", str(target)]
    given = ["--count", "300", "--side", "32", "--first-seed", "5"]
    shown = subprocess.run([*command, *given], capture_output=True, check=True, text=True).stderr
    drawn = np.load(target)
    assert drawn.shape == (300, 1, 32, 32)
    assert (drawn[299] == draw(304, 32, 1)).all()
    assert "300 of 300" in shown
    assert list(tmp_path.iterdir()) == [target]
