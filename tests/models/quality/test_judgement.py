"""Known truths: samplers that return photographs, or photographs made worse, are called what they are."""

import math
import re
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from flawsmith.core.demo_set import render_picture
from flawsmith.models.quality.calibration import Scale
from flawsmith.models.quality.combined import COMBINED
from flawsmith.models.quality.controls import BLURS, REMOVED, noise_added, warped
from flawsmith.models.quality.judgement import JudgedPhotographs, Judgement, Sampler, calibrate, judge, judge_by
from flawsmith.models.quality.judging import VARIETY_IN, Calibration, SpaceFigures, TypeFigures
from flawsmith.models.quality.space_registry import SPACES
from flawsmith.models.quality.verdict_words import verdict_of
from flawsmith.models.quality.wiping import blurred, defect_masks, filled, median_filtered

SIDE, COUNT, HELD_OUT = 48, 60, 15


def pictures(defect_type: str, count: int, seed: int) -> Tensor:
    """Of the demo's set: (count, 1, SIDE, SIDE) uint8."""
    random = np.random.default_rng(seed)
    return torch.stack(
        [torch.from_numpy(np.array(render_picture(defect_type, random, SIDE)))[None] for _ in range(count)]
    )


PHOTOGRAPHS = pictures("scratches", COUNT, 0)
FRESH = pictures("scratches", 80, 1)


@cache
def calibration(count: int = COUNT, held_out: int = HELD_OUT) -> Calibration:
    """By the first photographs, of which so many are held out."""
    return calibrate(one_type(PHOTOGRAPHS[:count], held_out))


def one_type(photographs: Tensor, held_out: int) -> JudgedPhotographs:
    holdout, training = photographs[:held_out], photographs[held_out:]
    masks: list[list[Tensor | None]] = [[None] * len(each) for each in (training, holdout)]
    return JudgedPhotographs(["scratches"], [training], [holdout], masks[:1], masks[1:])


def judged(samples: Tensor, count: int = COUNT, held_out: int = HELD_OUT) -> Judgement:
    return judge_by(calibration(count, held_out), returning(samples))


def returning(samples: Tensor) -> Sampler:
    """A generator that returns these in turn."""
    return lambda each_type, seed, count: samples[torch.arange(seed, seed + count) % len(samples)]


def test_fresh_photographs_are_good() -> None:
    judgement = judged(FRESH)
    assert judgement.state == "good", judgement.reasons
    assert judgement.two_sample is not None
    _, (low, high), n = judgement.two_sample
    assert low < 0.5 < high and n == 2 * HELD_OUT


@pytest.mark.parametrize("flipped", [False, True])
def test_photographs_trained_on_are_called_copies(flipped: bool) -> None:
    training = PHOTOGRAPHS[HELD_OUT:]
    judgement = judged(training.flip(3) if flipped else training)
    assert judgement.state == "failing"
    assert "100% of the samples of 'scratches' are copies of photographs trained on" in judgement.sentence


def test_one_image_repeated_is_called_collapsed() -> None:
    judgement = judged(FRESH[:1])
    assert judgement.state == "failing"
    assert any("collapsed into nearly one image" in each for each in judgement.reasons)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            lambda: filled(FRESH, defect_masks(FRESH), 3),
            "cannot be told from photographs whose scratches were wiped out",
        ),
        (lambda: median_filtered(FRESH), "photographs whose scratches were wiped out by a median filter"),
        (lambda: blurred(FRESH.float(), 2).round().byte(), "photographs blurred by 2 px"),
        (lambda: noise_added(FRESH, torch.Generator().manual_seed(8)), "photographs with noise added"),
        (lambda: torch.randint(0, 256, FRESH.shape).byte(), "pure noise"),
    ],
    ids=["wiped", "median", "blurred", "noisy", "noise"],
)
def test_photographs_made_worse_are_called_what_they_are(made, words: str) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    judgement = judged(made())
    assert judgement.state != "good"
    assert judgement.state == "failing" or "noise added" in words
    assert words in judgement.sentence


def test_samples_half_way_to_no_defect_are_failing_though_they_reach_no_control() -> None:
    """Wiped-out patches are nearer to photographs than blurred ones are, so that nothing lies between."""
    splits = torch.linspace(-0.01, 0.01, 20)
    scale = Scale(splits, {REMOVED: splits + 1, **{blur: splits + 2 + pixels for blur, pixels in BLURS.items()}})
    photographs = calibration().types[0]

    def state(distance: float) -> tuple[str, list[str]]:
        space = SpaceFigures(scale, splits + distance, dict.fromkeys(scale.controls, distance), 1.0)
        verdict = verdict_of(TypeFigures("patches", photographs, 40, {VARIETY_IN: space, COMBINED: space}), SPACES, [])
        return verdict.state, [each.words for each in verdict.objections]

    words = "samples of 'patches' are 80% as far from photographs as photographs whose patches were wiped out"
    assert state(0.8) == ("failing", [words])
    assert state(0.4) == ("good", [])


def test_another_type_is_called_by_its_name() -> None:
    pits = pictures("pits", COUNT, 2)
    halves = [PHOTOGRAPHS, pits]
    nothing: list[list[Tensor | None]] = [[None] * (COUNT - HELD_OUT)] * 2
    photographs = JudgedPhotographs(
        ["scratches", "pits"],
        [each[HELD_OUT:] for each in halves],
        [each[:HELD_OUT] for each in halves],
        nothing,
        [[None] * HELD_OUT] * 2,
    )
    judgement = judge(photographs, returning(pictures("pits", 80, 3)))
    assert judgement.state == "failing"
    assert "samples of 'scratches' cannot be told from photographs of 'pits'" in judgement.sentence.lower()


@pytest.mark.parametrize("pixels", [1.0, 1.5])
def test_wavering_lines_are_called_so(pixels: float) -> None:
    judgement = judged(warped(FRESH, pixels, torch.Generator().manual_seed(5)))
    assert judgement.state == "warning"
    said = re.search(
        r"ines of samples of 'scratches' waver as in photographs warped by ([\d.]+) px", judgement.sentence
    )
    assert said, judgement.sentence
    assert float(said[1]) == pytest.approx(pixels, abs=0.4)
    by_name = {each.name: each for each in judgement.measures}
    straightness = by_name["straightness"]
    assert straightness.counts
    assert straightness.photographs < straightness.controls["warped 1 px"] < straightness.controls["warped 2 px"]
    assert "warped 1 px" not in by_name["combined"].controls


def test_a_direction_that_no_sample_has_is_said_with_its_counts() -> None:
    turned = torch.cat([PHOTOGRAPHS[:30], PHOTOGRAPHS[30:].transpose(2, 3)])[torch.randperm(COUNT)]
    calibrated = calibrate(one_type(turned, HELD_OUT))
    both = torch.cat([FRESH[:40], FRESH[40:].transpose(2, 3)])[torch.randperm(80)]
    upright = judge_by(calibrated, returning(FRESH))
    assert upright.state != "good"
    assert any(
        re.search(r"lack level lines: \d+% of 60 photographs \(.*\) have them, 0% of 80 samples", each)
        for each in upright.reasons
    ), upright.reasons
    assert not any("lack" in each for each in judge_by(calibrated, returning(both)).reasons)


def test_what_only_the_classifier_tells_from_photographs_is_a_warning() -> None:
    dotted = FRESH.int()
    dotted[:, :, ::4, ::4] += 14  # gray levels
    judgement = judged(dotted.clamp(0, 255).byte(), held_out=30)
    assert judgement.two_sample is not None
    assert judgement.two_sample[1][0] > 0.5
    assert judgement.state == "warning"
    assert "but a classifier tells photographs from samples in" in judgement.sentence
    assert len(judgement.reasons) == 2, "nothing else was said"


def test_few_photographs_are_never_good() -> None:
    judgement = judged(FRESH, 12, held_out=0)
    assert judgement.state == "warning"
    assert "12 photographs of 'scratches' are too few to calibrate a measure" in judgement.sentence


def test_without_a_holdout_fresh_photographs_are_good_and_wiped_ones_failing() -> None:
    fresh = judged(FRESH, 48, held_out=0)
    assert fresh.state == "good", fresh.reasons
    assert judged(filled(FRESH, defect_masks(FRESH), 3), 48, held_out=0).state == "failing"


def test_defects_that_no_measure_sees_are_said_so() -> None:
    plain = (128 + 6 * torch.randn(COUNT, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))).byte()
    judgement = judge(one_type(plain, HELD_OUT), returning(plain[HELD_OUT:].flip(2)))
    assert judgement.state != "good"
    assert any("cannot see this set's defects" in each for each in judgement.reasons)


def test_the_same_samples_are_judged_alike_and_global_random_numbers_stay() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = (judge(one_type(PHOTOGRAPHS[:24], 0), returning(FRESH)) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)


def test_a_type_of_two_photographs_beside_a_larger_one_is_a_warning() -> None:
    pits = pictures("pits", 24, 2)
    photographs = JudgedPhotographs(
        ["scratches", "pits"],
        [PHOTOGRAPHS[:2], pits],
        [PHOTOGRAPHS[:0], pits[:0]],
        [[None] * 2, [None] * 24],
        [[], []],
    )
    fresh = [FRESH, pictures("pits", 40, 3)]
    judgement = judge(
        photographs, lambda each_type, seed, count: fresh[each_type][torch.arange(seed, seed + count) % 40]
    )
    assert judgement.state != "good"
    assert "2 photographs of 'scratches' are too few to calibrate a measure: that takes 20" in judgement.reasons


def test_a_type_of_one_photograph_has_figures_too() -> None:
    pits = pictures("pits", 3, 2)
    photographs = JudgedPhotographs(
        ["scratches", "pits"], [PHOTOGRAPHS[:1], pits], [PHOTOGRAPHS[:0], pits[:0]], [[None], [None] * 3], [[], []]
    )
    judgement = judge(photographs, lambda each_type, seed, count: FRESH[torch.arange(seed, seed + count) % 40])
    diversity = [each.value for each in judgement.measures if each.name == "diversity"]
    assert all(map(math.isfinite, diversity)), diversity
