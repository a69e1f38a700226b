"""Distances of feature sets equal their formulas."""

import pytest
import torch

from flawsmith.models.quality.two_sample import density_and_coverage, energy_distance, mmd_poly


def test_density_and_coverage() -> None:
    real = torch.tensor([[0.0], [1.0], [3.0], [10.0]])  # radii to the first neighbour: 1, 1, 2, 7
    fake = torch.tensor([[0.5], [4.0]])
    density, coverage = density_and_coverage(real, fake, neighbours=1)
    assert density == pytest.approx((1 + 1 + 1 + 1) / 2)
    assert coverage == 1
    assert density_and_coverage(real, torch.tensor([[100.0]]), neighbours=1) == (0, 0)


def test_mmd_poly() -> None:
    real, fake = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [3.0]])
    across = (1 + 64 + 1 + 343) / 4
    assert mmd_poly(real, fake) == pytest.approx(27 + 1 - 2 * across)


def test_energy_distance() -> None:
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [4.0]])
    assert energy_distance(real, fake) == pytest.approx(2 * (3 + 4 + 1 + 2) / 4 - 2 - 1)
