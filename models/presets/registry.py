"""Finds what builds the trainer and the generator of a preset, by the preset's name.

The builders are those of this package's subpackages, each with its `PresetBuilder` as ``BUILDER`` in the module
``builder``, and of the packages that ``FLAWSMITH_PRESET_PACKAGES`` names.
"""

import pkgutil
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from flawsmith.models import presets
from flawsmith.models.presets.builder import PresetBuilder
from flawsmith.models.presets.generator import PresetGenerator
from flawsmith.models.training.holdout import HoldoutRule
from flawsmith.models.training.photograph_masks import PhotographMasks
from flawsmith.models.training.trainer import Trainer


class UnfitFiles(Exception):
    """A version's configuration or weights that make no images or labels here; the message says why."""


class BuilderRegistry:
    """Builders by the names of their presets."""

    def __init__(self) -> None:
        self._builders: dict[str, PresetBuilder] = {}

    def __getitem__(self, name: str) -> PresetBuilder:
        """The builder of the preset. Raises LookupError."""
        if name not in self._builders:
            raise LookupError(f"no builder of a preset '{name}'; the presets are: {', '.join(self.names)}")
        return self._builders[name]

    @property
    def names(self) -> list[str]:
        return sorted(self._builders)

    def add(self, builder: PresetBuilder) -> None:
        """Adds a builder; adding it again changes nothing.

        Raises:
            ValueError: another builder is of a preset of this name.
        """
        if self._builders.setdefault(builder.name, builder) is not builder:
            raise ValueError(f"two presets are named '{builder.name}'; rename one of them")

    def load(self, packages: Iterable[str]) -> None:
        """Adds the ``BUILDER`` of each package's module ``builder``.

        Raises:
            ImportError: a package has no such module.
            AttributeError: the module has no ``BUILDER``.
        """
        for package in packages:
            self.add(import_module(f"{package}.builder").BUILDER)


def _builders_of_the_tree() -> BuilderRegistry:
    registry = BuilderRegistry()
    registry.load(f"{presets.__name__}.{found.name}" for found in pkgutil.iter_modules(presets.__path__) if found.ispkg)
    return registry


BUILDERS = _builders_of_the_tree()
"""The builders that this process knows."""


def build_trainer(
    preset: str,
    config: Mapping[str, Any],
    images: Tensor,
    type_index: Tensor,
    types: int,
    device: torch.device,
    photograph: Tensor | None = None,
    rule: HoldoutRule | None = None,
    masks: PhotographMasks | None = None,
) -> Trainer:
    """A run of the preset at its first step; see `PresetBuilder`. Without ``photograph``, each image is another one.

    Without a ``rule``, the preset holds out as it did before there were rules.

    Raises:
        LookupError: the preset is unknown or has no networks, or there are masks and it learns none.
        TypeError: a field of ``config`` is missing or unknown; the message names it.
    """
    builder, photograph = BUILDERS[preset], _numbers(images, photograph)
    if builder.build_trainer is None:
        raise LookupError(f"the preset '{preset}' has no networks to train")
    if masks is not None and not builder.learns_masks:
        raise LookupError(f"preset '{preset}' learns no masks")
    held_out: list[Tensor] = []
    if rule is not None and builder.follows_rules:
        held_out.append(builder.held_out(config, images, type_index, types, photograph, rule))
    elif rule is not None and rule.kept is not None:
        images, type_index, photograph = (each[~rule.kept] for each in (images, type_index, photograph))
        masks = None if masks is None else masks[~rule.kept]
    named = {} if masks is None else {"masks": masks}
    return builder.build_trainer(config, images, type_index, types, device, photograph, *held_out, **named)


def build_generator(preset: str, config: Mapping[str, Any], types: int) -> PresetGenerator:
    """The preset's generator, with weights yet to be loaded; see `PresetBuilder`.

    Raises:
        LookupError: the preset is unknown or has no networks, or a field that shapes the generator is missing.
    """
    build = BUILDERS[preset].build_generator
    if build is None:
        raise LookupError(f"the preset '{preset}' has no networks that sample")
    return build(config, types)


def generator_with_weights(
    preset: str, config: Mapping[str, Any], types: int, weights: Mapping[str, Tensor]
) -> PresetGenerator:
    """The preset's generator with these weights, a state dictionary.

    Raises:
        LookupError: the preset is unknown or has no networks.
        UnfitFiles: the weights, or the fields of ``config``, are not those of the preset.
    """
    try:
        with torch.device("meta"):  # takes no memory, however large the configuration says that the network is
            expected = {name: each.shape for name, each in build_generator(preset, config, types).state_dict().items()}
    except (KeyError, ValueError) as error:
        raise UnfitFiles(f"the configuration is that of no generator of preset '{preset}': {error!r}") from error
    found = {name: each.shape for name, each in weights.items()}
    wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    if wrong:
        raise UnfitFiles(
            f"of the weights of a generator of preset '{preset}' {wrong[0]!r} is missing or has another shape"
        )
    generator = build_generator(preset, config, types)
    generator.load_state_dict(dict(weights))
    return generator


def held_out(
    preset: str,
    config: Mapping[str, Any],
    images: Tensor,
    type_index: Tensor,
    types: int,
    photograph: Tensor | None = None,
    rule: HoldoutRule | None = None,
) -> Tensor:
    """Which photographs a run never trains on, (N,) bool; see `PresetBuilder` and `build_trainer`.

    Raises:
        LookupError: the preset is unknown.
    """
    builder, photograph = BUILDERS[preset], _numbers(images, photograph)
    if rule is None or (rule.kept is None and not builder.follows_rules):
        return builder.held_out(config, images, type_index, types, photograph)
    if builder.follows_rules:
        return builder.held_out(config, images, type_index, types, photograph, rule)
    assert rule.kept is not None
    found, rest = rule.kept.clone(), ~rule.kept
    found[rest] = builder.held_out(config, images[rest], type_index[rest], types, photograph[rest])
    return found


def _numbers(images: Tensor, photograph: Tensor | None) -> Tensor:
    return torch.arange(len(images)) if photograph is None else photograph
