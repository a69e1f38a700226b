"""Published versions whose images take an angle: what the worker makes of addresses with and without it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from flawsmith import load_generator
from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import Attributes
from flawsmith.models.presets.fewshot.networks import Generator
from flawsmith.models.presets.registry import build_generator
from flawsmith.models.quality.orientation import dominant_directions
from flawsmith.worker.generator_file import save_generator
from flawsmith.worker.published_generator import PublishedGenerator

CONFIG = {
    "resolution": 32,
    "channels": 1,
    "classes": ["dents", "pits"],
    "latent_size": 8,
    "generator_width": 8,
    "direction": True,
    "wavelet": False,
    "narrow_ends": False,
}


def card(**config: Any) -> dict[str, Any]:
    return {
        "preset": "fewshot",
        "classes": CONFIG["classes"],
        "resolution": 32,
        "mode": "L",
        "config": {**CONFIG, **config},
        "precision": "float32",
        "qualified_on": "cpu",
    }


def weights() -> dict[str, Tensor]:
    """Of a generator that draws noise along lines, as training teaches it; its photographs are level."""
    torch.manual_seed(0)
    generator = build_generator("fewshot", CONFIG, 2)
    assert isinstance(generator, Generator)
    with torch.no_grad():
        for block in generator.blocks:
            block.after.weight.normal_(0, 0.05)  # type: ignore[union-attr, operator]
            block.styling.bias.fill_(1)  # type: ignore[union-attr, operator]
        generator.directions[:] = torch.tensor([0.9, 0.0])
    return generator.state_dict()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("version") / "generator.safetensors"
    save_generator(weights(), path, card())
    return path


@pytest.fixture(scope="module")
def generator(file: Path) -> PublishedGenerator:
    return load_generator(file, device="cpu")


def angle(low: float, high: float) -> Attributes:
    return (("angle", (low, high)),)


def addresses(attributes: Attributes, seeds: range = range(16)) -> list[Address]:
    return [Address(["dents", "pits"][seed % 2], seed, attributes) for seed in seeds]


@pytest.mark.parametrize(("low", "high"), [(30, 60), (80, 100), (120, 150), (170, 10)])
def test_lines_run_where_they_were_asked_to(generator: PublishedGenerator, low: float, high: float) -> None:
    images = torch.from_numpy(generator.sample_batch(addresses(angle(low, high)))).permute(0, 3, 1, 2)
    directions, _ = dominant_directions(images)
    middle, half = low + (high - low) % 180 / 2, (high - low) % 180 / 2
    away = ((directions - middle + 90) % 180 - 90).abs()
    assert away.median() < half + 10  # an untrained generator's blotches turn some of them a little


def test_what_an_image_shows_depends_on_its_address_alone(generator: PublishedGenerator) -> None:
    asked: list[Attributes] = [(), angle(30, 60), angle(80, 100), ()]
    batch = [Address("pits", seed, asked[seed % 4]) for seed in range(16)]
    mixed = generator.sample_batch(batch)
    plain = generator.sample_batch([each.plain for each in batch])
    assert [np.array_equal(a, b) for a, b in zip(mixed, plain, strict=True)] == [True, False, False, True] * 4
    for address, pixels in zip(batch, mixed, strict=True):
        bounds = dict(address.attributes).get("angle")
        assert np.array_equal(generator.sample(address.seed, "pits", angle=bounds), pixels[..., 0])


def test_every_angle_is_as_without_one(generator: PublishedGenerator) -> None:
    every, plain = (generator.sample_batch(addresses(each)) for each in (angle(0, 180), ()))
    assert np.array_equal(every, plain)


def test_the_angle_is_read_as_the_service_reads_it(generator: PublishedGenerator) -> None:
    [pixels] = generator.sample_batch(addresses(angle(0, 10), range(1, 2)))
    assert np.array_equal(generator.sample(1, "pits", angle=(180, 10.001)), pixels[..., 0])
    for wrong in ((30, 190), (float("nan"), 10)):
        with pytest.raises(ValueError, match="two numbers from 0 to 180"):
            generator.sample(1, "pits", angle=wrong)


def test_an_attribute_of_a_later_release_is_refused(generator: PublishedGenerator) -> None:
    for later in ("size", "severity"):  # severity needs a search
        with pytest.raises(ValueError, match=f"knows no attribute {later}"):
            generator.sample_batch(addresses(((later, (0.0, 1.0)),)))


def test_a_version_of_an_earlier_release_has_no_direction() -> None:
    """Its configuration lacks the fields."""
    earlier = {name: value for name, value in CONFIG.items() if name not in ("direction", "wavelet", "narrow_ends")}
    torch.manual_seed(0)
    plain = PublishedGenerator(
        build_generator("fewshot", earlier, 2).state_dict(),
        preset="fewshot",
        config=earlier,
        classes=["dents", "pits"],
        precision="float32",
        qualified_on="cpu",
        device=torch.device("cpu"),
    )
    assert not plain.takes_angles
    assert plain.sample(3).shape == (32, 32)
    with pytest.raises(ValueError, match="takes no angles"):
        plain.sample(3, angle=(30, 60))


@pytest.mark.gpu
def test_a_captured_pass_draws_the_same_directions(file: Path, generator: PublishedGenerator) -> None:
    on_gpu = load_generator(file, device="cuda")
    asked: list[Attributes] = [(), angle(30, 60), angle(80, 100), angle(170, 10)]
    batch = [Address("pits", seed, asked[seed % 4]) for seed in range(16)]
    found = on_gpu.sample_batch(batch)
    assert np.array_equal(on_gpu.sample_batch(batch), found)
    for start in range(0, 16, 4):  # in other batches, where others were asked to be otherwise
        assert np.array_equal(on_gpu.sample_batch(batch[start : start + 4]), found[start : start + 4])
    assert np.abs(found.astype(int) - generator.sample_batch(batch)).max() <= 1
