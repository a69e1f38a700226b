"""Trains a GAN on a few photographs of defects and serves synthetic ones over HTTP."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flawsmith.worker.generator_file import load_generator

__all__ = ["load_generator"]


def __getattr__(name: str) -> Any:
    """Imports `load_generator`, and with it torch, at its first use: the API must not load torch."""
    if name == "load_generator":
        from flawsmith.worker.generator_file import load_generator

        return load_generator
    raise AttributeError(f"module 'flawsmith' has no attribute '{name}'")
