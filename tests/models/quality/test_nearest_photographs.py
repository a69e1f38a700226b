"""Copies are found under every flip and quarter turn, and new photographs are not taken for copies."""

import numpy as np
import pytest
import torch
from tests.models.pictures import blots, brighter

from flawsmith.core.store.reference_photographs import ReferencePhotographs
from flawsmith.models.quality.nearest_photographs import Nearest, copy_figures, turned
from flawsmith.worker.references import pixels_of, to_nearest

TRAINING = blots(seed=0, count=60)


REFERENCES = ReferencePhotographs.unscaled(pixels_of(TRAINING), ["blots"], [""] * len(TRAINING))
AMONG = to_nearest(REFERENCES.matches_among(np.arange(len(TRAINING))))


def nearest(images: torch.Tensor) -> Nearest:
    return to_nearest(REFERENCES.matches(list(pixels_of(images))))


@pytest.mark.parametrize("symmetry", range(8))
def test_a_turned_shifted_and_brightened_copy_is_recognised(symmetry: int) -> None:
    original = TRAINING[7:8]
    copies = brighter(torch.rot90(original.flip(3) if symmetry > 3 else original, symmetry % 4, (2, 3)))
    found = nearest(copies)
    assert found.which.tolist() == [7]
    assert found.distance.item() < 0.05
    assert (turned(original, int(found.symmetry)).int() - copies.int() + 20).abs().float().mean() < 1
    assert nearest(copies.roll((1, -2), (2, 3))).distance.item() < 0.05


def test_training_photographs_returned_are_copies() -> None:
    genuine = nearest(blots(seed=1, count=40))
    figures = copy_figures(nearest(TRAINING.flip(2)), AMONG, genuine)
    assert (figures.authenticity, figures.memorization_rate, figures.nearer) == (0, 1, 1)


def test_new_photographs_are_none() -> None:
    genuine = nearest(blots(seed=1, count=40))
    figures = copy_figures(nearest(blots(seed=2, count=200)), AMONG, genuine)
    assert figures.authenticity == pytest.approx(copy_figures(genuine, AMONG, genuine).authenticity, abs=0.15)
    assert figures.memorization_rate is not None
    assert figures.memorization_rate < 0.1
    assert figures.nearer < 0.1
