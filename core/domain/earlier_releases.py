"""Maps names in records stored by earlier releases to today's names. New records are written with today's names."""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

SIGNALS = {"copies": "memorization_rate", "gap": "overfitting_r_v"}
"""Signals in a job's history, up to commit b2444ae."""

CHECKPOINT_FIELDS = {"mishaps": "rollbacks"}
"""Fields of checkpoint.json, up to commit b2444ae."""

CHECKPOINT_TENSORS = {"softened": "learning_rate_reductions", "p_values": "symmetry_p_values"}
"""Tensors of a checkpoint, up to commit b2444ae."""

CHECKPOINT_NETWORKS = {"average": "generator_ema"}
"""Networks of a checkpoint, the first part of their tensors' names, up to commit b2444ae."""


def renamed(values: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    """The same values under today's names."""
    return {names.get(name, name): value for name, value in values.items()}
