"""Copies are found under every flip and quarter turn, and new photographs are not taken for copies."""

import pytest
import torch
from tests.models.pictures import blots, brighter

from flawsmith.models.quality.nearest_photographs import copy_figures, nearest_among, nearest_photographs, turned

TRAINING = blots(seed=0, count=60)


@pytest.mark.parametrize("symmetry", range(8))
def test_a_turned_and_brightened_copy_is_recognised(symmetry: int) -> None:
    original = TRAINING[7:8]
    copies = brighter(torch.rot90(original.flip(3) if symmetry > 3 else original, symmetry % 4, (2, 3)))
    found = nearest_photographs(copies, TRAINING)
    assert found.which.tolist() == [7]
    assert found.distance.item() < 0.05
    assert (turned(original, int(found.symmetry)).int() - copies.int() + 20).abs().float().mean() < 1


def test_training_photographs_returned_are_copies() -> None:
    among = nearest_among(TRAINING)
    genuine = nearest_photographs(blots(seed=1, count=40), TRAINING)
    figures = copy_figures(nearest_photographs(TRAINING.flip(2), TRAINING), among, genuine)
    assert (figures.authenticity, figures.memorization_rate, figures.nearer) == (0, 1, 1)


def test_new_photographs_are_none() -> None:
    among = nearest_among(TRAINING)
    genuine = nearest_photographs(blots(seed=1, count=40), TRAINING)
    figures = copy_figures(nearest_photographs(blots(seed=2, count=200), TRAINING), among, genuine)
    assert figures.authenticity == pytest.approx(copy_figures(genuine, among, genuine).authenticity, abs=0.15)
    assert figures.memorization_rate is not None
    assert figures.memorization_rate < 0.1
    assert figures.nearer < 0.1


def test_large_images_are_compared_smaller() -> None:
    large = torch.nn.functional.interpolate(TRAINING.float(), scale_factor=4).byte()
    small = torch.nn.functional.interpolate(TRAINING.float(), scale_factor=2).byte()
    assert torch.allclose(nearest_among(large).distance, nearest_among(small).distance, atol=1e-4)
