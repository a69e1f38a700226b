"""What the API says of a preset's networks, without PyTorch, is true of the networks."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from flawsmith.core.domain.presets.registry import PRESETS
from flawsmith.models.presets.registry import build_generator, build_trainer
from flawsmith.models.training.photograph_masks import PhotographMasks

FEWSHOT = [
    {
        "direction": direction,
        **ends,
        "gradient_penalty": 1.0,
        "kinds": 1,
        "generator_width": 8,
        "discriminator_width": 8,
    }
    for direction in (False, True)
    for ends in ({"narrow_ends": False}, {"narrow_ends": True}, {"narrow_ends": False, "wavelet": True})
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resolution", [32, 64, 128])
@pytest.mark.parametrize(
    ("preset", "overrides"),
    [
        ("dcgan", {"generator_depth": 8, "discriminator_depth": 8}),
        *(("fewshot", each) for each in FEWSHOT),
    ],
)
def test_weights_and_multiplications_are_those_of_the_networks(
    preset: str, overrides: dict[str, Any], resolution: int, channels: int
) -> None:
    words = PRESETS[preset].overrides.model_validate(overrides).model_dump()
    config = {"resolution": resolution, "channels": channels, "seed": 0, **words}
    layers = PRESETS[preset].layers({**config, "classes": ["pits"]})
    assert layers is not None
    images = torch.zeros(2, channels, resolution, resolution, dtype=torch.uint8)
    images[1] = 255
    types = torch.zeros(2, dtype=torch.int64)
    trainer = build_trainer(preset, config, images, types, 1, torch.device("cpu"))
    networks = trainer.networks()
    for expected, name in ((layers.generator_weights, "generator"), (layers.discriminator_weights, "discriminator")):
        ours = sum(each.numel() for key, each in networks[name].items() if key.endswith("weight"))
        assert expected == pytest.approx(ours, rel=0.03)
    generator = build_generator(preset, config, 1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        generator(torch.zeros(1, generator.latent_size), types[:1])
    multiplications = sum(each.multiplications for each in layers.generator)
    assert multiplications == pytest.approx(counter.get_total_flops() / 2, rel=0.15)


@pytest.mark.parametrize("narrow_ends", [False, True])
def test_masks_are_counted(narrow_ends: bool) -> None:
    overrides = {"narrow_ends": narrow_ends, "gradient_penalty": 1.0, "kinds": 1}
    words = PRESETS["fewshot"].overrides.model_validate(overrides).model_dump()
    config = {"resolution": 64, "channels": 1, "seed": 0, **words}
    plain, layers = (
        PRESETS["fewshot"].layers({**config, "classes": ["pits"], **more}) for more in ({}, {"labels": "mask"})
    )
    assert plain is not None
    assert layers is not None
    images, known = torch.zeros(2, 1, 64, 64, dtype=torch.uint8), torch.ones(2, dtype=torch.bool)
    types = torch.zeros(2, dtype=torch.int64)
    found = {
        name: build_trainer("fewshot", config, images, types, 1, torch.device("cpu"), masks=masks).networks()
        for name, masks in (("plain", None), ("masks", PhotographMasks(images, known)))
    }
    for network, added in (
        ("generator", layers.generator_weights - plain.generator_weights),
        ("discriminator", layers.discriminator_weights - plain.discriminator_weights),
    ):
        weights = {
            name: sum(each.numel() for key, each in networks[network].items() if key.endswith("weight"))
            for name, networks in found.items()
        }
        assert added == weights["masks"] - weights["plain"]
