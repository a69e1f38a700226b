"""Finds the presets that a training job can name.

They are the modules of this package, each with its `Preset` as ``PRESET``, and the packages that
``FLAWSMITH_PRESET_PACKAGES`` names.
"""

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module

from flawsmith.core.domain import presets
from flawsmith.core.domain.job_config import JobConfig
from flawsmith.core.domain.presets.preset import Preset

SEAM = ("layers", "measured_steps", "preset", "registry")  # the modules of this package that are no preset


class UnknownPreset(LookupError):
    """No preset has this name; the message lists those that there are."""


class PresetRegistry:
    """Presets by name, in alphabetical order."""

    def __init__(self) -> None:
        self._presets: dict[str, Preset] = {}

    def __getitem__(self, name: str) -> Preset:
        """The preset of this name. Raises UnknownPreset."""
        if name not in self._presets:
            raise UnknownPreset(f"unknown preset '{name}'; the presets are: {', '.join(self.names)}")
        return self._presets[name]

    def __iter__(self) -> Iterator[Preset]:
        return (self._presets[name] for name in self.names)

    @property
    def names(self) -> list[str]:
        return sorted(self._presets)

    @property
    def with_networks(self) -> list[str]:
        """The names of those that train."""
        return [each.name for each in self if each.has_networks]

    def add(self, preset: Preset) -> None:
        """Adds a preset; adding it again changes nothing.

        Raises:
            ValueError: another preset has its name, its overrides lack ``batch_size`` or repeat a field of `JobConfig`.
        """
        fields = preset.overrides.model_fields.keys()
        if preset.has_networks and "batch_size" not in fields:
            raise ValueError(f"the overrides of preset '{preset.name}' must have a batch_size")
        if taken := fields & JobConfig.model_fields.keys():
            raise ValueError(f"rename overrides of preset '{preset.name}': every job has a {', '.join(sorted(taken))}")
        if self._presets.setdefault(preset.name, preset) is not preset:
            raise ValueError(f"two presets are named '{preset.name}'; rename one of them")

    def load(self, packages: Iterable[str]) -> None:
        """Adds the presets of packages from outside the tree: the ``PRESET`` of each one's module ``preset``.

        Raises:
            ImportError: a package has no such module.
            AttributeError: the module has no ``PRESET``.
        """
        for package in packages:
            self.add(import_module(f"{package}.preset").PRESET)


def _presets_of_the_tree() -> PresetRegistry:
    registry = PresetRegistry()
    for found in pkgutil.iter_modules(presets.__path__):
        if found.name not in SEAM:
            registry.add(import_module(f"{presets.__name__}.{found.name}").PRESET)
    return registry


PRESETS = _presets_of_the_tree()
"""The presets that this process knows."""
