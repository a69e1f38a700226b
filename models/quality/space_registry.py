"""All feature spaces of the verdict: one file each in `spaces`, found by walking that package."""

import importlib
import pkgutil

from flawsmith.models.quality import spaces
from flawsmith.models.quality.space import Space


def declared() -> tuple[Space, ...]:
    """The `SPACES` of every module, in the order of the modules' names.

    Raises:
        ValueError: two spaces have the same name.
    """
    modules = [
        importlib.import_module(f"{spaces.__name__}.{each.name}") for each in pkgutil.iter_modules(spaces.__path__)
    ]
    found: list[Space] = [each for module in modules for each in module.SPACES]
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"each feature space needs a name of its own; declared twice: {', '.join(sorted(twice))}")
    return tuple(found)


SPACES = declared()
