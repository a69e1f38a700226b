"""Both sides of every preset: its overrides in core, its networks in models."""

from typing import Any

import pytest
import torch

from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.models.presets.builder import PresetBuilder
from flawsmith.models.presets.registry import BUILDERS, BuilderRegistry, build_generator, build_trainer
from flawsmith.models.training.trainer import Trainer

WIDTHS = ("generator_depth", "discriminator_depth", "generator_width", "discriminator_width")


def config_of(preset: str) -> dict[str, Any]:
    """The configuration of a small run: the preset's defaults but for the networks' width."""
    fields = PRESETS[preset].overrides().model_dump()
    small = dict.fromkeys(WIDTHS, 2) | {"kinds": 1}
    chosen = {name: value for name, value in small.items() if name in fields}
    return {"resolution": 32, "channels": 1, "seed": 0, **fields, **chosen}


def trainer(preset: str, config: dict[str, Any]) -> Trainer:
    images = torch.zeros(4, 1, 32, 32, dtype=torch.uint8)
    return build_trainer(preset, config, images, torch.zeros(4, dtype=torch.int64), 1, torch.device("cpu"))


def test_every_preset_has_a_builder() -> None:
    assert BUILDERS.names == PRESETS.names


@pytest.mark.parametrize("preset", PRESETS.with_networks)
def test_the_trainer_takes_exactly_the_fields_of_the_overrides(preset: str) -> None:
    config = config_of(preset)
    assert trainer(preset, config).batch_size == config["batch_size"]
    for name in config:
        with pytest.raises(TypeError, match=f"'{name}'"):
            trainer(preset, {each: value for each, value in config.items() if each != name})
    with pytest.raises(TypeError, match="'latent_sise'"):
        trainer(preset, {**config, "latent_sise": 8})


@pytest.mark.parametrize("preset", PRESETS.with_networks)
def test_the_generator_that_samples_has_the_weights_of_the_one_that_trains(preset: str) -> None:
    config = config_of(preset)
    generator = build_generator(preset, config, 1)
    generator.load_state_dict(trainer(preset, config).networks()["generator"])
    images = generator(torch.zeros(2, generator.latent_size), torch.zeros(2, dtype=torch.int64))
    assert images.shape == (2, 1, 32, 32)


def test_a_card_of_an_earlier_release_means_networks_without_direction_and_special_ends() -> None:
    config = config_of("fewshot") | {"direction": False, "wavelet": False, "narrow_ends": False}
    weights = trainer("fewshot", config).networks()["generator"]
    later = ("direction", "wavelet", "narrow_ends", "kinds")
    earlier = {name: value for name, value in config.items() if name not in later}
    build_generator("fewshot", earlier, 1).load_state_dict(weights)


@pytest.mark.parametrize("preset", PRESETS.names)
def test_the_fields_that_shape_the_networks_are_overrides(preset: str) -> None:
    shaping = {*PRESETS[preset].shaping, *PRESETS[preset].shaping_of_types}
    assert shaping <= PRESETS[preset].overrides.model_fields.keys()


def test_two_builders_of_one_name_are_refused() -> None:
    registry, dcgan = BuilderRegistry(), BUILDERS["dcgan"]
    registry.add(dcgan)
    registry.add(dcgan)
    with pytest.raises(ValueError, match="two presets are named 'dcgan'"):
        registry.add(PresetBuilder("dcgan", dcgan.build_trainer, BUILDERS["fewshot"].build_generator))


def test_a_preset_without_networks_builds_none() -> None:
    with pytest.raises(LookupError, match="'paste' has no networks to train"):
        trainer("paste", {})
    with pytest.raises(LookupError, match="'paste' has no networks that sample"):
        build_generator("paste", {}, 1)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match="'stylegan'; the presets are: dcgan, fewshot, paste"):
        build_generator("stylegan", {}, 1)
