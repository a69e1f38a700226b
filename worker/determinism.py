"""Makes a run repeatable beyond its own state: the process's random states, and torch's choice of kernels."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

JsonStates = dict[str, Any]
RandomStates = tuple[JsonStates, dict[str, Tensor]]
"""Python's and NumPy's states as JSON; torch's (CPU, and CUDA if the device is one) as uint8 tensors."""


def seed_process(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's global random states, CUDA's included."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_states(device: torch.device) -> RandomStates:
    """The process's random states."""
    numpy = np.random.get_state(legacy=False)
    assert isinstance(numpy, dict)
    numpy["state"] = {"key": numpy["state"]["key"].tolist(), "pos": numpy["state"]["pos"]}
    tensors = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(device)
    return {"python": random.getstate(), "numpy": numpy}, tensors


def restore_random_states(states: JsonStates, tensors: dict[str, Tensor], device: torch.device) -> None:
    """Restores what `random_states` returned, also after a round trip through JSON."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    numpy = states["numpy"]
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": np.array(numpy["state"]["key"], np.uint32)}})
    torch.set_rng_state(tensors["torch"])
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], device)


def choose_kernels(deterministic: bool) -> None:
    """Restricts torch to deterministic kernels, or lifts the restriction. Applies to the whole process."""
    if torch.are_deterministic_algorithms_enabled() != deterministic:  # the call imports 70 MB, which few jobs need
        torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
