"""Gradients of loss and penalties from one more forward pass equal those of differentiating twice."""

from dataclasses import replace

import pytest
import torch

from flawsmith.models.presets.fewshot.discriminator_pass import DiscriminatorPass
from flawsmith.models.presets.fewshot.networks import Discriminator
from flawsmith.models.training.augmentation import Strength, Symmetries, augment, sample_augmentation
from flawsmith.models.training.objectives import relativistic_discriminator_loss

GAMMA, PAIRS = 3.0, 4


def squared_gradient_norms(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """R1 and R2 as defined (Mescheder et al. 2018, arXiv:1801.04406, eq. 9 and 10), differentiable again."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.square().sum((1, 2, 3))


def test_the_reference_penalty_of_a_linear_network_is_its_weights_squared_norm() -> None:
    weights = torch.randn(1, 2, 4, 4, requires_grad=True)
    images = torch.randn(3, 2, 4, 4, requires_grad=True)
    norms = squared_gradient_norms((images * weights).sum((1, 2, 3)), images)
    torch.testing.assert_close(norms, weights.detach().square().sum().expand(3))
    norms.mean().backward()
    torch.testing.assert_close(weights.grad, 2 * weights.detach())


def test_the_reference_gradient_agrees_with_finite_differences() -> None:
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


@pytest.mark.parametrize("conditioning", [0.0, 0.6])
@pytest.mark.parametrize(("direction", "kinds"), [(False, 1), (True, 1), (True, 3)])
@pytest.mark.parametrize("ends", [{}, {"wavelet": True}])
def test_gradients_agree_with_automatic_differentiation(
    conditioning: float, direction: bool, kinds: int, ends: dict[str, bool]
) -> None:
    torch.manual_seed(0)
    network = Discriminator(32, 1, width=4, types=2, direction=direction, kinds=kinds, **ends).double()
    torch.nn.init.normal_(network.heads_by_type.weight)
    told = torch.randn(2 * PAIRS, 2, dtype=torch.float64) if direction else None
    if kinds > 1:
        told = torch.cat([told, torch.eye(kinds, dtype=torch.float64)[torch.arange(2 * PAIRS) % kinds]], 1)
    if direction:
        torch.nn.init.normal_(network.heads_by_direction.weight)
    network.conditioning.fill_(conditioning)
    types = torch.arange(PAIRS) % 2
    flips = torch.ones(2, dtype=torch.bool)
    parameters = sample_augmentation(
        types, 32, Strength(1, 0.2, 0.3, 0.3), Symmetries(flips, flips, flips), torch.Generator()
    )
    images = torch.randn(2 * PAIRS, 1, 32, 32, dtype=torch.float64, requires_grad=True)

    logits = network(augment(images, parameters), types.repeat(2), told)
    norms = squared_gradient_norms(logits, images)
    (relativistic_discriminator_loss(*logits.chunk(2)) + GAMMA / 2 * norms.sum() / PAIRS).backward()
    expected = {name: each.grad.clone() for name, each in network.named_parameters()}
    network.zero_grad()

    augmented = augment(images, parameters)
    forward = DiscriminatorPass(network, augmented.detach(), types.repeat(2), told)
    torch.testing.assert_close(forward.logits, logits.detach())
    ours = forward.logits.requires_grad_()
    (weights,) = torch.autograd.grad(relativistic_discriminator_loss(*ours.chunk(2)), ours)
    (gradients,) = torch.autograd.grad(augmented, images, forward.image_gradients())
    torch.testing.assert_close(gradients.square().sum((1, 2, 3)), norms.detach())
    linear = replace(parameters, brightness=torch.zeros(PAIRS))
    forward.set_gradients(weights, augment(GAMMA / PAIRS * gradients, linear))
    for name, each in network.named_parameters():
        torch.testing.assert_close(each.grad, expected[name], msg=name)


def test_the_penalties_alone_have_gradients() -> None:
    network = Discriminator(32, 1, width=4, types=1)
    forward = DiscriminatorPass(network, torch.randn(2, 1, 32, 32), torch.zeros(2, dtype=torch.int64))
    forward.set_gradients(torch.zeros(2), forward.image_gradients())
    for convolution in network.convolutions:
        assert convolution.weight.grad.abs().max() > 0
        assert convolution.bias.grad.abs().max() == 0
    assert network.head.weight.grad.abs().max() > 0
