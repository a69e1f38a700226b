"""The exponential moving average of a network's weights."""

import torch
from torch import nn

from flawsmith.models.training.ema import ExponentialMovingAverage


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


def test_after_a_half_life_it_is_half_way() -> None:
    network = constant(0)
    ema = ExponentialMovingAverage(network, half_life=32, batch_size=8)
    nn.init.constant_(network.weight, 1)
    for _ in range(4):
        ema.update(images_shown=10_000)
    assert torch.allclose(ema.module.weight, torch.tensor(0.5))
    assert torch.equal(ema.module.bias, torch.tensor([0.0]))


def test_early_the_half_life_is_a_twentieth_of_the_images_shown() -> None:
    network = constant(0)
    ema = ExponentialMovingAverage(network, half_life=1000, batch_size=8)
    nn.init.constant_(network.weight, 1)
    ema.update(images_shown=160)
    assert torch.allclose(ema.module.weight, torch.tensor(0.5))
    ema.update(images_shown=0)
    assert torch.equal(ema.module.weight, network.weight)


def test_it_has_no_gradients() -> None:
    assert not any(each.requires_grad for each in ExponentialMovingAverage(constant(1), 1, 1).module.parameters())
