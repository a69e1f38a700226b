"""The losses equal their formulas."""

import math

import pytest
import torch

from flawsmith.models.training.objectives import relativistic_discriminator_loss, relativistic_generator_loss

REAL, FAKE = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, 1.0, 0.5])


def test_the_relativistic_losses_equal_their_formulas() -> None:
    differences = [1.0, -3.0, 0.0]
    expected = sum(math.log1p(math.exp(-each)) for each in differences) / 3
    assert relativistic_discriminator_loss(REAL, FAKE).item() == pytest.approx(expected)
    assert relativistic_generator_loss(FAKE, REAL).item() == pytest.approx(expected)


def test_only_differences_of_logits_matter() -> None:
    for loss in (relativistic_discriminator_loss, relativistic_generator_loss):
        assert loss(REAL + 7, FAKE + 7).item() == pytest.approx(loss(REAL, FAKE).item())
