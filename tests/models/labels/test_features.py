"""The feature maps of every preset's generator."""

from typing import Any

import pytest
import torch

from flawsmith.models.labels.features import FeatureMaps
from flawsmith.models.presets.generator import PresetGenerator
from flawsmith.models.presets.registry import build_generator

CPU = torch.device("cpu")
DCGAN = {"preset": "dcgan", "resolution": 32, "channels": 1, "latent_size": 8, "generator_depth": 4}
FEWSHOT = {"preset": "fewshot", "resolution": 32, "channels": 3, "latent_size": 8, "generator_width": 2}
CONFIGS: list[dict[str, Any]] = [
    DCGAN,
    FEWSHOT,
    FEWSHOT | {"direction": True, "narrow_ends": True},
    FEWSHOT | {"wavelet": True},
]


def generator(config: dict[str, Any]) -> PresetGenerator:
    torch.manual_seed(0)
    return build_generator(config["preset"], config, 2)


@pytest.mark.parametrize("config", CONFIGS)
def test_they_become_finer_and_the_image_is_the_generators(config: dict[str, Any]) -> None:
    network = generator(config)
    latents, types = torch.randn(3, network.latent_size), torch.tensor([0, 1, 1])
    maps = FeatureMaps(network, CPU)
    images, found = maps(latents, types)
    with torch.no_grad():
        assert torch.equal(images, network.eval()(latents, types).clamp(-1, 1))
    sides = [each.shape[-1] for each in found]
    assert sides == sorted(sides)
    assert sides[-1] >= 16
    assert [tuple(each.shape[:2]) for each in found] == [(3, width) for width in maps.widths]
    assert maps.channels == config["channels"]


def test_a_given_angle_changes_them() -> None:
    network = generator(CONFIGS[2])
    with torch.no_grad():
        for each in network.parameters():  # residual blocks change nothing at first
            each.add_(0.1 * torch.randn_like(each))
    maps, latents = FeatureMaps(network, CPU), torch.randn(1, network.latent_size)
    level, upright = (maps(latents, torch.tensor([0]), torch.tensor([[each, each]]))[1] for each in (0.0, 90.0))
    assert not torch.allclose(level[-1], upright[-1])
