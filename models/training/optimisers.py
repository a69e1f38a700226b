"""What trainers do to their optimisers."""

from collections.abc import Mapping

from torch import Tensor
from torch.optim import Optimizer


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """Sets the rate of all parameters, in place where the rate is a tensor: a recorded CUDA graph reads that one."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def clear_moments(optimisers: Mapping[str, Optimizer]) -> None:
    """Clears optimiser state: NaN moments never decay."""
    for each in optimisers.values():
        each.state.clear()
