"""Trains a GAN on a few photographs of defects and serves synthetic ones over HTTP."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flawsmith.client import AsyncClient, Client, FlawsmithError, Problem
    from flawsmith.client.torch_dataset import MixedDataset
    from flawsmith.worker.generator_file import load_generator

_MODULES = {
    "AsyncClient": "flawsmith.client",
    "Client": "flawsmith.client",
    "FlawsmithError": "flawsmith.client",
    "MixedDataset": "flawsmith.client.torch_dataset",
    "Problem": "flawsmith.client",
    "load_generator": "flawsmith.worker.generator_file",
}

__all__ = ["AsyncClient", "Client", "FlawsmithError", "MixedDataset", "Problem", "load_generator"]


def __getattr__(name: str) -> Any:
    """Imports each name at its first use: the API must not load torch, and a client needs no part of the service."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'flawsmith' has no attribute '{name}'")
