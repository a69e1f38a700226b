"""What stored records of earlier releases call by other names. Everything written since uses the names of today."""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

SIGNALS = {"copies": "memorization_rate", "gap": "overfitting_r_v"}
"""Signals of an evaluation, in a job's history, up to commit b2444ae."""

CHECKPOINT_FIELDS = {"mishaps": "rollbacks"}
"""Fields of checkpoint.json, up to commit b2444ae."""

CHECKPOINT_TENSORS = {"softened": "learning_rate_reductions", "p_values": "symmetry_p_values"}
"""Tensors of a checkpoint, up to commit b2444ae."""

CHECKPOINT_NETWORKS = {"average": "generator_ema"}
"""Networks of a checkpoint, the first part of their tensors' names, up to commit b2444ae."""


def renamed(values: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    """The same values, each under its name of today."""
    return {names.get(name, name): value for name, value in values.items()}
