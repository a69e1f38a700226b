"""The score of a single image: 0 as photographs without their defects, 1 as photographs, and its own affair alone."""

import math

import numpy as np
import pytest
import torch
from tests.models.quality.test_judgement import calibration, one_type, pictures

from flawsmith.models.quality.image_score import CalibratedScore, ImageScore, image_score
from flawsmith.models.quality.judgement import calibrate
from flawsmith.models.quality.small_network import SmallNetwork
from flawsmith.models.quality.wiping import blurred, median_filtered

FRESH = pictures("scratches", 40, 7)


@pytest.fixture(scope="module")
def calibrated() -> CalibratedScore:
    found = image_score(calibration())
    assert found is not None
    return found


def median(calibrated: CalibratedScore, images: torch.Tensor) -> float:
    return float(np.median(calibrated.score(images, [0] * len(images))))


def test_photographs_that_nobody_saw_score_as_photographs(calibrated: CalibratedScore) -> None:
    assert median(calibrated, FRESH) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize(
    "worse",
    [median_filtered, lambda images: blurred(images.float(), 2.0).round().byte(), torch.zeros_like],
    ids=["the defect wiped out", "blurred", "black"],
)
def test_damaged_photographs_score_far_less(calibrated: CalibratedScore, worse: object) -> None:
    assert median(calibrated, worse(FRESH)) < 0.4  # type: ignore[operator]


def test_pure_noise_is_no_photograph(calibrated: CalibratedScore) -> None:
    random = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, FRESH.shape, generator=random, dtype=torch.uint8)
    assert median(calibrated, noise) < 0.4


def test_a_score_is_the_same_alone_in_any_company_and_after_a_file(calibrated: CalibratedScore) -> None:
    together = calibrated.score(FRESH, [0] * len(FRESH))
    alone = [calibrated.score(FRESH[index : index + 1], [0])[0] for index in range(len(FRESH))]
    assert alone == together
    assert calibrated.score(FRESH.flip(0), [0] * len(FRESH)) == together[::-1]
    loaded = ImageScore(SmallNetwork.load(calibrated.score.network.state()), calibrated.score.scales)
    assert loaded(FRESH, [0] * len(FRESH)) == together


def test_too_few_photographs_have_no_score() -> None:
    assert image_score(calibration(12, 0)) is None


def test_photographs_without_a_defect_have_no_score() -> None:
    """Nothing can be seen to be missing."""
    gray = torch.arange(100, 140, dtype=torch.uint8).view(40, 1, 1, 1).expand(40, 1, 48, 48).contiguous()
    found = image_score(calibrate(one_type(gray, 0)))
    assert found is None or math.isnan(found.score.scales[0][0])
