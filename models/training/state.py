"""Networks and optimisers as one flat dictionary of tensors, and back."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def flat_state(modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    """All tensors: ``network.weight`` for a module's state, ``optimiser.0.exp_avg`` for an optimiser's."""
    state: dict[str, Tensor] = {}
    for name, module in modules.items():
        state |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, slots in optimiser.state_dict()["state"].items():
            state |= {f"{name}.{index}.{slot}": value for slot, value in slots.items()}
    return state


def load_flat_state(
    state: Mapping[str, Tensor], modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]
) -> None:
    """Loads what `flat_state` returned; learning rates stay as they are.

    Raises:
        KeyError, RuntimeError: the state is of other networks.
    """
    for name, module in modules.items():
        module.load_state_dict(below(state, name))
    for name, optimiser in optimisers.items():
        parameters = [each for group in optimiser.param_groups for each in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in below(state, name).items():
            index, slot = key.split(".")
            slots.setdefault(int(index), {})[slot] = _with_layout_of(parameters[int(index)], value)
        optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})


def load_without(module: nn.Module, weights: Mapping[str, Tensor], left_out: Collection[str]) -> None:
    """Loads a module's state but for some entries, which stay as they are in the module.

    Raises:
        KeyError, RuntimeError: the weights lack an entry, or one has another shape.
    """
    state = module.state_dict()
    module.load_state_dict({**weights, **{name: (state if name in left_out else weights)[name] for name in state}})


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries ``prefix.key``, as ``key``."""
    return {key.removeprefix(f"{prefix}."): value for key, value in state.items() if key.startswith(f"{prefix}.")}


def copied_weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's state on the CPU, contiguous, which further steps do not change."""
    layout = torch.contiguous_format
    return {key: value.detach().cpu().clone(memory_format=layout) for key, value in module.state_dict().items()}


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copies a tensor to the device, unless it is there, without waiting for the device's current work."""
    if device.type == "cpu" or not tensor.is_cpu:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _with_layout_of(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy in the parameter's memory layout, which fused optimisers rely on."""
    if value.shape != parameter.shape:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
