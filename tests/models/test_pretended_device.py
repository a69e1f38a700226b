"""The pretended accelerator: it refuses what a real one refuses, or waits for."""

from collections.abc import Callable

import pytest
import torch
from tests.pretended_device import PRETENDED, Misuse, PretendedDevice
from torch import Tensor

from flawsmith.models.training.state import to_device

CPU_VECTOR = torch.arange(3.0)
Action = Callable[[Tensor], object]  # of a tensor on the device, (4, 3) float32

MIXTURES: list[Action] = [
    lambda there: there + CPU_VECTOR,
    lambda there: there @ CPU_VECTOR,
    lambda there: torch.cat([there, CPU_VECTOR[None]]),
    lambda there: torch.where(CPU_VECTOR > 1, there, 0),
    lambda there: CPU_VECTOR.clone().add_(there[0]),
    lambda there: torch.zeros(()).add_(there.sum()),
    lambda there: CPU_VECTOR[there[0].long()],
    lambda there: torch.rand(3, device=PRETENDED, generator=torch.Generator()),
    lambda there: torch.rand(3, generator=torch.Generator(PRETENDED)),
]
WAITS: list[Action] = [
    lambda there: float(there.sum()),
    lambda there: bool((there > 1).any()),
    lambda there: there.cpu(),
    lambda there: there.tolist(),
    lambda there: there[there > 1],
    lambda there: there.nonzero(),
    lambda there: there.unique(),
    lambda there: torch.equal(there, there),
    lambda there: torch.zeros(4, 3).copy_(there),
    lambda there: torch.tensor([1.0, 2.0], device=PRETENDED),
    lambda there: torch.as_tensor([1.0, 2.0], device=there.device),
    lambda there: there.new_tensor([1.0, 2.0]),
    lambda there: CPU_VECTOR.to(PRETENDED),
    lambda there: CPU_VECTOR.to(PRETENDED, non_blocking=True),  # not from page-locked memory
    lambda there: CPU_VECTOR.pin_memory().to(PRETENDED),
    lambda there: there.copy_(torch.ones(4, 3)),
    lambda there: there[torch.tensor([0, 2])],
    lambda there: there[[0, 2]],
]
COME_FROM_THE_HOST: list[Action] = [
    lambda there: to_device(CPU_VECTOR, PRETENDED),
    lambda there: there * torch.tensor(2.0),
]
ON_THE_DEVICE: list[Action] = [
    lambda there: 2.5 * there + 1,
    lambda there: there.fill_(3.0),
    lambda there: there.masked_fill_(there > 1, 0.0),
    lambda there: torch.arange(3, device=PRETENDED) + there,
    lambda there: there[:, there[0].long()],
    lambda there: there.to(PRETENDED),
    lambda there: to_device(there, PRETENDED),
]


def there() -> Tensor:
    return torch.arange(12.0).view(4, 3).remainder(3).to(PRETENDED)


@pytest.mark.parametrize("action", MIXTURES)
def test_devices_do_not_mix(action: Action) -> None:
    with PretendedDevice():
        tensor = there()
        with pytest.raises(Misuse):
            action(tensor)


@pytest.mark.parametrize("action", WAITS)
def test_nothing_waits_in_a_steady_state(action: Action) -> None:
    with PretendedDevice() as device:
        tensor = there()
        action(tensor)
        with device.steady(), pytest.raises(Misuse):
            action(tensor)


@pytest.mark.parametrize("action", COME_FROM_THE_HOST)
def test_nothing_comes_from_the_host_in_a_recording(action: Action) -> None:
    with PretendedDevice() as device:
        tensor = there()
        with device.steady():
            action(tensor)
        with device.recording(), pytest.raises(Misuse):
            action(tensor)


@pytest.mark.parametrize("action", ON_THE_DEVICE)
def test_what_stays_on_the_device_may_always_be_done(action: Action) -> None:
    with PretendedDevice() as device:
        tensor = there()
        with device.recording():
            found = action(tensor)
        assert isinstance(found, Tensor)
        assert found.device == PRETENDED
        assert found.cpu().device.type == "cpu"


def test_it_computes_what_the_cpu_computes() -> None:
    def gradient(device: torch.device) -> Tensor:
        weights = torch.linspace(-1, 1, 18).view(2, 1, 3, 3).to(device).requires_grad_()
        images = torch.linspace(0, 1, 50, device="cpu").view(2, 1, 5, 5).to(device)
        features = torch.nn.functional.conv2d(images, weights, padding=1)
        row = features.flatten(1)[0] @ features.flatten(1).T  # ends in an operator that changes a shape in place
        (row.square().sum() + features[:, :, ::2].tanh().sum()).backward()
        assert weights.grad is not None
        return weights.grad.cpu()

    with PretendedDevice():
        found = gradient(PRETENDED)
    assert torch.equal(found, gradient(torch.device("cpu")))


def test_reads_are_counted() -> None:
    with PretendedDevice() as device:
        tensor = there()
        assert device.reads == 0
        float(tensor.sum())
        tensor.cpu()
        assert device.reads == 2
