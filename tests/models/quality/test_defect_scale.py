"""While a job trains: how far samples are on the way to photographs without defects, and how many show a defect."""

import pytest
import torch
from tests.models.pictures import blots, noise
from torch import Tensor

from flawsmith.models.quality.defect_scale import DefectScale
from flawsmith.models.quality.wiping import defect_masks, filled

SCALE = DefectScale([blots(0, 80)], [blots(1, 20)])


def wiped(images: Tensor) -> Tensor:
    return filled(images, defect_masks(images), 7)


def test_fresh_photographs_are_at_0_and_show_the_defect() -> None:
    fresh = blots(2, 60)
    assert abs(SCALE.measure([fresh])[0]) < 0.15
    assert SCALE.measure([fresh])[1] == pytest.approx(1, abs=0.25)


def test_photographs_without_their_defects_are_at_1_or_more_and_do_not_show_it() -> None:
    assert SCALE.measure([wiped(blots(2, 60))])[0] > 0.8
    assert SCALE.measure([wiped(blots(2, 60))])[1] < 0.25


def test_types_with_few_photographs_or_without_a_defect_do_not_count() -> None:
    plain = (128 + 5 * torch.randn(60, 1, 32, 32, generator=torch.Generator().manual_seed(0))).byte()
    assert DefectScale([blots(0, 8)], [blots(1, 0)]).seen == 0
    assert DefectScale([plain], [plain[:0]]).seen == 0
    assert DefectScale([plain, blots(0, 60)], [plain[:0], blots(1, 0)]).seen == 1


def test_noise_is_farther_than_photographs_without_defects() -> None:
    assert SCALE.measure([noise(40)])[0] > 1
