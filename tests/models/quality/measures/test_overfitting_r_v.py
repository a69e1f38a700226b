"""The overfitting heuristic r_v."""

import pytest
import torch
from tests.models.pictures import SIDE
from torch import Tensor

from flawsmith.models.quality.evaluator import Evaluator


def gray(level: int, count: int = 12) -> Tensor:
    random = torch.Generator().manual_seed(level)
    images = torch.full((count, 1, SIDE, SIDE), level) + torch.randint(0, 2, (count, 1, SIDE, SIDE), generator=random)
    return images.byte()


def brightness(images: Tensor, of_type: int) -> float:
    """A discriminator for which brighter images are more real."""
    return images.double().mean().item()


def r_v(training: int, holdout: int, samples: int) -> float:
    return Evaluator([gray(training)], [gray(holdout)], brightness).signals([gray(samples)])["overfitting_r_v"]


def test_it_is_the_share_of_the_score_that_holdout_photographs_miss() -> None:
    assert r_v(training=200, holdout=200, samples=100) == pytest.approx(0, abs=0.01)
    assert r_v(training=200, holdout=150, samples=100) == pytest.approx(0.5, abs=0.01)
    assert r_v(training=200, holdout=100, samples=100) == pytest.approx(1, abs=0.01)


def test_a_discriminator_that_prefers_samples_does_not_change_the_sign() -> None:
    assert r_v(training=100, holdout=50, samples=200) == pytest.approx(0.5, abs=0.01)


def test_types_without_holdout_do_not_count() -> None:
    evaluator = Evaluator([gray(200), gray(40)], [gray(150), gray(40)[:0]], brightness)
    assert evaluator.signals([gray(100), gray(240)])["overfitting_r_v"] == pytest.approx(0.5, abs=0.01)
