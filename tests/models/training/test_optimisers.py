"""Learning rates are set and optimiser state is cleared."""

import torch
from torch import nn
from torch.optim import Adam

from flawsmith.models.training.optimisers import clear_moments, set_learning_rate


def test_nan_moments_are_gone_after_clearing() -> None:
    weight = nn.Parameter(torch.ones(1))
    optimiser = Adam([weight], 0.1)
    for gradient in (float("nan"), 1.0):
        weight.grad = torch.tensor([gradient])
        optimiser.step()
        if gradient != gradient:
            clear_moments({"optimiser": optimiser})
            with torch.no_grad():
                weight.fill_(1.0)
    assert torch.allclose(weight, torch.tensor(0.9))


def test_a_rate_that_is_a_tensor_is_set_in_place() -> None:
    rate = torch.tensor(0.1)
    captured, plain = (Adam([nn.Parameter(torch.ones(1))], each, capturable=True) for each in (rate, 0.1))
    for optimiser in (captured, plain):
        set_learning_rate(optimiser, 0.5)
    assert captured.param_groups[0]["lr"] is rate
    assert rate == 0.5
    assert plain.param_groups[0]["lr"] == 0.5
