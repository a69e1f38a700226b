"""All quality measures: one file each in `measures`, found by walking that package."""

import importlib
import pkgutil

from flawsmith.models.quality import measures
from flawsmith.models.quality.measure import Measure

LEADING = "distance"
"""The signal that checkpoints are chosen by and that marks a step of the history as evaluated."""


def declared() -> tuple[Measure, ...]:
    """The `MEASURES` of every module, those of an evaluation first.

    Raises:
        ValueError: two measures have the same name.
    """
    modules = [
        importlib.import_module(f"{measures.__name__}.{each.name}") for each in pkgutil.iter_modules(measures.__path__)
    ]
    found: list[Measure] = sorted(
        (each for module in modules for each in module.MEASURES), key=lambda each: each.each_step
    )
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"each quality measure needs a name of its own; declared twice: {', '.join(sorted(twice))}")
    return tuple(found)


MEASURES = declared()
"""Measures of an evaluation in the order of their modules' names, then those of every step."""

BY_NAME = {each.name: each for each in MEASURES}
