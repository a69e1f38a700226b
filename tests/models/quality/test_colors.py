"""Photographs in color: what has their shapes and not their colors is told from them."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from flawsmith.core.demo_set import render_picture
from flawsmith.models.quality.colors import Tint, luma_and_color, with_color
from flawsmith.models.quality.controls import BLOTCHED, COLORED, GARISH, TINTED, controls
from flawsmith.models.quality.judgement import JudgedPhotographs, Judgement, calibrate, judge_by
from flawsmith.models.quality.judging import Calibration

SIDE, COUNT, HELD_OUT = 32, 50, 15


def steel(count: int, seed: int) -> Tensor:
    """Pictures of scratches as a camera sees brass: (count, 3, SIDE, SIDE) uint8."""
    random, found = np.random.default_rng(seed), []
    for _ in range(count):
        gray = np.array(render_picture("scratches", random, SIDE), np.float32)[..., None]
        brass = gray * (1.05, 1, 0.8) + (12, 0, -6) + random.normal(0, 3, 3) + random.normal(0, 3, (SIDE, SIDE, 3))
        found.append(brass.clip(0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()


PHOTOGRAPHS, FRESH = steel(COUNT, 0), steel(80, 1)


@cache
def calibration() -> Calibration:
    holdout, training = PHOTOGRAPHS[:HELD_OUT], PHOTOGRAPHS[HELD_OUT:]
    masks: list[list[Tensor | None]] = [[None] * len(each) for each in (training, holdout)]
    return calibrate(JudgedPhotographs(["scratches"], [training], [holdout], masks[:1], masks[1:]))


def judged(samples: Tensor) -> Judgement:
    return judge_by(calibration(), lambda each, seed, count: samples[torch.arange(seed, seed + count) % len(samples)])


def recolored(name: str) -> Tensor:
    return controls(FRESH, torch.zeros(len(FRESH), SIDE, SIDE, dtype=torch.bool), seed=1)[name]


def test_color_and_luma_are_the_image() -> None:
    torch.testing.assert_close(with_color(*luma_and_color(FRESH)), FRESH.float(), atol=1e-3, rtol=0)


def test_fresh_photographs_are_good_and_colors_count() -> None:
    judgement = judged(FRESH)
    assert judgement.state == "good", judgement.reasons
    [colors] = [each for each in judgement.measures if each.name == "colors"]
    assert colors.counts
    assert all(colors.photographs < colors.controls[name] for name in COLORED)


@pytest.mark.parametrize("name", [TINTED, BLOTCHED, GARISH])
def test_other_colors_are_no_good(name: str) -> None:
    judgement = judged(recolored(name))
    assert judgement.state != "good"
    assert any("by the measure 'colors'" in each for each in judgement.reasons), judgement.reasons
    assert any("photographs with" in each for each in judgement.reasons), judgement.reasons


def test_colors_that_glare_are_failing() -> None:
    glaring = Tint(FRESH).moved(FRESH, torch.full((len(FRESH), 2, SIDE, SIDE), 12.0)).round().clamp(0, 255).byte()
    judgement = judged(glaring)
    assert judgement.state == "failing"
    assert any("photographs with a glaring tint added" in each for each in judgement.reasons), judgement.reasons


def test_gray_images_in_place_of_color_are_no_good() -> None:
    gray = luma_and_color(FRESH)[0].round().byte().expand(-1, 3, -1, -1)
    assert judged(gray).state != "good"


def test_photographs_that_a_program_tinted_make_no_measure_of_what_no_eye_sees() -> None:
    flat = luma_and_color(PHOTOGRAPHS)[0].round().byte().expand(-1, 3, -1, -1)
    tint = Tint(flat)
    assert tint.beyond(flat).abs().max() < 0.5
    one_level = (flat.int() + torch.tensor([1, 0, 0])[:, None, None]).clamp(0, 255).byte()
    assert tint.beyond(one_level).norm(dim=1).mean() < 0.6


def test_gray_photographs_are_not_measured_by_colors() -> None:
    gray = [each[:, :1] for each in (PHOTOGRAPHS[HELD_OUT:], PHOTOGRAPHS[:HELD_OUT])]
    masks: list[list[Tensor | None]] = [[None] * len(each) for each in gray]
    found = calibrate(JudgedPhotographs(["scratches"], gray[:1], gray[1:], masks[:1], masks[1:]))
    assert "colors" not in found.spaces
    assert not set(COLORED) & set(found.types[0].controls)


def test_colors_alone_say_nothing_of_defects() -> None:
    """Photographs of grain: no measure sees defects in them, and a tint that nobody sees is no reason to fail."""
    grain = torch.randint(90, 166, (COUNT + 40, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).byte()
    training, samples = grain[:COUNT], (grain[COUNT:].int() + torch.tensor([3, 0, -3])[:, None, None]).byte()
    masks: list[list[Tensor | None]] = [[None] * COUNT]
    known = calibrate(JudgedPhotographs(["grain"], [training], [training[:0]], masks, [[]]))
    judgement = judge_by(known, lambda each, seed, count: samples[torch.arange(seed, seed + count) % len(samples)])
    assert any("no measure tells" in each for each in judgement.reasons), judgement.reasons
    assert judgement.leading != "colors"


def test_a_tint_is_known_of_many_pixels() -> None:
    """More of them than float32 counts."""
    assert Tint(torch.zeros(1, 3, 4096, 4100, dtype=torch.uint8)).beyond(FRESH[:1]).isfinite().all()
