"""Images chosen among candidates by their brightness and severity: the same whatever else is asked for."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.attributes import CANDIDATES, Attributes
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.attribute_search import search
from flawsmith.worker.published_generator import PublishedGenerator

CONFIG = {"resolution": 32, "channels": 1, "classes": ["dents", "pits"], "latent_size": 8}
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def generator() -> PublishedGenerator:
    """Of the preset dcgan, as an earlier release configured it. Its images differ in brightness."""
    torch.manual_seed(0)
    config = {**CONFIG, "generator_depth": 4}
    network = build_generator("dcgan", config, 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)
    return PublishedGenerator(
        network.state_dict(),
        preset="dcgan",
        config=config,
        classes=["dents", "pits"],
        precision="float32",
        qualified_on="cpu",
        device=torch.device("cpu"),
    )


def asked(**ranges: tuple[float, float]) -> Attributes:
    return tuple(sorted(ranges.items()))


def candidates(generator: PublishedGenerator, seed: int, defect_type: str = "pits") -> list[Pixels]:
    plain = Address(defect_type, seed)
    return [generator.sample_batch([plain], [number])[0] for number in range(CANDIDATES)]


def rank(generator: PublishedGenerator, seed: int) -> list[float]:
    """The brightness of the seed's candidates, rounded as ranges are."""
    return [round(float(each.mean()), 2) for each in candidates(generator, seed)]


def test_the_first_candidate_in_the_range_is_found(generator: PublishedGenerator) -> None:
    for seed in range(5):
        values = rank(generator, seed)
        middle = float(np.median(values[1:]))
        low, high = (middle, 255.0) if values[0] < middle else (0.0, middle)
        first = next(number for number, value in enumerate(values) if low <= value <= high)
        assert first > 0
        [found] = search(generator.sample_batch, [Address("pits", seed, asked(brightness=(low, high)))])
        assert found.pixels is not None
        assert np.array_equal(found.pixels, candidates(generator, seed)[first])


def test_an_image_that_is_in_the_range_stays_as_it_is(generator: PublishedGenerator) -> None:
    everything = asked(brightness=(0, 255), severity=(0, 1))
    found = search(generator.sample_batch, [Address("pits", seed, everything) for seed in range(16)])
    plain = generator.sample_batch([Address("pits", seed) for seed in range(16)])
    assert all(np.array_equal(each.pixels, pixels) for each, pixels in zip(found, plain, strict=True))


def test_what_is_found_depends_on_the_address_alone(generator: PublishedGenerator) -> None:
    values = [value for seed in range(4) for value in rank(generator, seed)]
    ranges = [tuple(np.quantile(values, each).round(2).tolist()) for each in ((0, 0.1), (0.4, 0.6), (0.95, 1))]
    addresses = [
        Address(["dents", "pits"][seed % 2], seed, asked(brightness=ranges[seed % 3], severity=(0, [0.1, 1][seed % 2])))
        for seed in range(16)
    ]
    together = search(generator.sample_batch, addresses)
    alone = [search(generator.sample_batch, [each])[0] for each in addresses]
    turned = search(generator.sample_batch, addresses[::-1])[::-1]
    assert sum(each.pixels is not None for each in together) > 8
    for a, b, c in zip(together, alone, turned, strict=True):
        assert (a.pixels is None) == (b.pixels is None) == (c.pixels is None)
        if a.pixels is not None:
            assert np.array_equal(a.pixels, b.pixels)
            assert np.array_equal(a.pixels, c.pixels)


def test_where_none_is_found_the_candidates_values_are_told(generator: PublishedGenerator) -> None:
    values = rank(generator, 3)
    [found] = search(generator.sample_batch, [Address("pits", 3, asked(brightness=(254.9, 255)))])
    assert (found.pixels, found.tried) == (None, CANDIDATES)
    assert found.reach == {"brightness": (min(values), max(values))}


def test_hopeless_addresses_take_two_passes_each_at_most(generator: PublishedGenerator) -> None:
    passes = []

    def counting(addresses: list[Address], numbers: list[int]) -> Pixels:
        passes.append(len(addresses))
        return generator.sample_batch(addresses, numbers)

    for count, most in ((1, 2), (3, 7), (16, 32)):
        passes.clear()
        search(counting, [Address("pits", seed, asked(brightness=(254.9, 255))) for seed in range(count)])  # type: ignore[arg-type]
        assert len(passes) <= most
        assert max(passes) <= 16


def test_the_generator_in_python_finds_the_same(generator: PublishedGenerator) -> None:
    low = float(np.median(rank(generator, 3)))
    [found] = search(generator.sample_batch, [Address("pits", 3, asked(brightness=(low, 255), severity=(0, 1)))])
    assert found.pixels is not None
    assert np.array_equal(generator.sample(3, "pits", brightness=(low, 255), severity=(0, 1)), found.pixels[..., 0])
    with pytest.raises(ValueError, match=r"seed 3 draws no image with brightness=254.9..255; its 32 candidates have"):
        generator.sample(3, "pits", brightness=(254.9, 255))
    with pytest.raises(ValueError, match="two numbers from 0 to 1 "):
        generator.sample(3, "pits", severity=(0, 2))
