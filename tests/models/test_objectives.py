"""The losses are their formulas, and the penalties' gradients are really there."""

import math

import pytest
import torch

from models.objectives import relativistic_discriminator_loss, relativistic_generator_loss, squared_gradient_norms

REAL, FAKE = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, 1.0, 0.5])


def test_the_relativistic_losses_are_their_formulas() -> None:
    differences = [1.0, -3.0, 0.0]
    expected = sum(math.log1p(math.exp(-each)) for each in differences) / 3
    assert relativistic_discriminator_loss(REAL, FAKE).item() == pytest.approx(expected)
    assert relativistic_generator_loss(FAKE, REAL).item() == pytest.approx(expected)


def test_only_differences_of_logits_matter() -> None:
    for loss in (relativistic_discriminator_loss, relativistic_generator_loss):
        assert loss(REAL + 7, FAKE + 7).item() == pytest.approx(loss(REAL, FAKE).item())


def test_a_linear_discriminators_penalty_is_its_weights_squared_norm() -> None:
    weights = torch.randn(1, 2, 4, 4, requires_grad=True)
    images = torch.randn(3, 2, 4, 4, requires_grad=True)
    norms = squared_gradient_norms((images * weights).sum((1, 2, 3)), images)
    torch.testing.assert_close(norms, weights.detach().square().sum().expand(3))
    norms.mean().backward()
    torch.testing.assert_close(weights.grad, 2 * weights.detach())


def test_the_penaltys_gradient_is_the_one_that_finite_differences_give() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.Softplus(), torch.nn.Flatten(), torch.nn.Linear(48, 1)
    ).double()
    images = torch.randn(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)

    def penalty() -> torch.Tensor:
        return squared_gradient_norms(network(images).squeeze(1), images).sum()

    penalty().backward()
    weights, step = network[0].weight, 1e-6
    assert weights.grad.abs().max() > 1e-3
    for place in ((0, 0, 0, 0), (1, 0, 2, 1), (2, 0, 1, 1)):
        values = []
        for direction in (step, -step):
            with torch.no_grad():
                weights[place] += direction
            values.append(penalty().item())
            with torch.no_grad():
                weights[place] -= direction
        assert weights.grad[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)
