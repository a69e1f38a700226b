"""The images of a model version as records: which addresses, which are left out, and with which bytes."""

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from flawsmith.core.domain.addresses import Address, seeded
from flawsmith.core.domain.attributes import from_json
from flawsmith.core.domain.export_layouts import version_labels
from flawsmith.core.domain.export_request import ExportRequest, resolve_export
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.services import Services
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.reference_photographs import FILE as REFERENCES
from flawsmith.core.store.reference_photographs import ReferencePhotographs
from flawsmith.core.store.registry import Registry
from flawsmith.models.presets.registry import build_generator
from flawsmith.worker.engine import Engine
from flawsmith.worker.exports import checked_images
from flawsmith.worker.exports.checked_images import NoReferences
from flawsmith.worker.exports.records import ExportRecord
from flawsmith.worker.exports.version_source import TooFewPass, VersionSource
from flawsmith.worker.generator_file import save_generator

CPU = torch.device("cpu")
CLASSES = ["dents", "pits"]
CONFIG = {
    "resolution": 32,
    "channels": 1,
    "latent_size": 8,
    "generator_depth": 4,
    "discriminator_depth": 4,
    "precision": "float32",
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(ArtifactStore(tmp_path))


@pytest.fixture
def version(registry: Registry) -> ModelVersion:
    """A version of a generator that was never trained."""
    torch.manual_seed(0)
    weights = dict(build_generator("dcgan", CONFIG, len(CLASSES)).state_dict())
    card: dict[str, Any] = {
        "preset": "dcgan",
        "classes": CLASSES,
        "resolution": 32,
        "mode": "L",
        "config": CONFIG,
        "precision": "float32",
        "qualified_on": "cpu",
    }
    with registry.store.staged() as staged:
        digest = save_generator(weights, staged / "generator.safetensors", card)
        return registry.publish(
            "m", staged, **card, weights_sha256=digest, training_job="job-1", dataset_digest="digest"
        )


Open = Callable[..., VersionSource]


@pytest.fixture
def open_source(registry: Registry, version: ModelVersion) -> Open:
    """Opens the source of a request's body; its attributes are canonical."""

    def opened(state: dict[str, Any] | None = None, floor: float | None = None, **body: Any) -> VersionSource:
        request = ExportRequest(model="m", **body)
        attributes = from_json(request.attributes or {})
        config = resolve_export(request, version, version_labels(version), floor, lambda _: attributes)
        services = cast(Services, SimpleNamespace(registry=registry))
        return VersionSource(version, config, services, CPU, state or {})

    return opened


def all_of(source: VersionSource) -> list[ExportRecord]:
    records = []
    while not source.over:
        records += source.next()
    return records


def addresses(records: list[ExportRecord]) -> list[Address]:
    return [Address(each.defect_type, each.address["seed"]) for each in records]


def sampled(registry: Registry, wanted: list[Address]) -> NDArray[np.uint8]:
    return np.concatenate([Engine(registry, 1, CPU).sample("m@1", [each]) for each in wanted])


@pytest.mark.parametrize(("seed", "count"), [(0, 37), (5, 40), (8, 1)])
def test_a_count_is_the_images_that_generate_gives_for_the_seed(open_source: Open, seed: int, count: int) -> None:
    records = all_of(open_source(count=count, seed=seed))
    assert set(addresses(records)) == set(seeded(CLASSES, None, seed, count))
    assert len(records) == count


def test_a_count_of_each_type_begins_at_the_seed(open_source: Open) -> None:
    records = all_of(open_source(per_type={"pits": 20, "dents": 3}, seed=4))
    assert addresses(records) == [
        *(Address("dents", seed) for seed in range(4, 7)),
        *(Address("pits", seed) for seed in range(4, 24)),
    ]


def test_the_bytes_are_those_that_the_service_gives(registry: Registry, open_source: Open) -> None:
    engine = Engine(registry, 1, CPU)
    for record, address in zip(records := all_of(open_source(count=20)), addresses(records), strict=True):
        [pixels] = engine.sample("m@1", [address])
        assert record.png == engine.encoder("m@1")(address, pixels)
        assert record.address == {"model": "m@1", "defect_type": address.defect_type, "seed": address.seed}


def test_withdrawn_addresses_are_left_out(registry: Registry, version: ModelVersion, open_source: Open) -> None:
    for seed in (1, 2, 3, 30):
        registry.withdraw(version, Address("pits", seed), "why")
    source = open_source(per_type={"pits": 20})
    assert [each.seed for each in addresses(all_of(source))] == [0, *range(4, 23)]
    assert source.left_out == {"withdrawn": 3}


def give_references(registry: Registry, version: ModelVersion, copied: list[Address]) -> None:
    """Makes photographs of the version that are its images at these addresses."""
    pixels = sampled(registry, copied)
    types = np.array([CLASSES.index(each.defect_type) for each in copied])
    files = [f"{number}.png" for number in range(len(copied))]
    ReferencePhotographs.of(pixels, types, CLASSES, files).save(registry.folder(version) / REFERENCES)


def test_copies_of_photographs_are_left_out(registry: Registry, version: ModelVersion, open_source: Open) -> None:
    copied = [Address("pits", seed) for seed in (0, 5, 6, 17, 40)]
    give_references(registry, version, copied)
    source = open_source(per_type={"pits": 20}, max_similarity=0.99)
    assert [each.seed for each in addresses(all_of(source))] == [
        each for each in range(24) if each not in (0, 5, 6, 17)
    ]
    assert source.left_out == {"too_similar": 4}


def test_without_photographs_to_compare_with_it_cannot_be_opened(open_source: Open) -> None:
    with pytest.raises(NoReferences, match="without 'max_similarity'"):
        open_source(count=1, max_similarity=0.7)


class Scores:
    """Scores images by their seeds: 0.1 where it is odd; types of even seeds have no score."""

    def __init__(self, folder: Path, channels: int) -> None:
        pass

    def __call__(self, given: list[Address], pixels: NDArray[np.uint8]) -> list[float]:
        return [0.1 if each.seed % 2 else float("nan") for each in given]


def test_images_below_the_quality_floor_are_left_out(open_source: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_images, "PublishedScore", Scores)
    source = open_source(per_type={"pits": 20}, floor=0.2)
    assert [each.seed for each in addresses(all_of(source))] == list(range(0, 40, 2))
    assert source.left_out == {"below_floor": 19}


def test_it_continues_from_its_state(open_source: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_images, "PublishedScore", Scores)
    body: dict[str, Any] = {"per_type": {"pits": 30, "dents": 25}, "floor": 0.2}
    whole = open_source(**body)
    expected = all_of(whole)
    source, found = open_source(**body), list[ExportRecord]()
    while not source.over:
        found += source.next()
        source = open_source(state=source.state(), **body)  # a new worker after each pass
    assert found == expected
    assert source.left_out == whole.left_out


def test_it_ends_with_the_reason_where_nothing_passes(open_source: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scores, "__call__", lambda self, given, pixels: [0.0] * len(given))
    monkeypatch.setattr(checked_images, "PublishedScore", Scores)
    with pytest.raises(TooFewPass, match=r"only 0 of 5 could be exported .*below_floor.* lower the quality floor"):
        all_of(open_source(count=10, floor=0.2))


def brightness_of(records: list[ExportRecord]) -> list[float]:
    return [float(np.asarray(Image.open(io.BytesIO(each.png))).mean()) for each in records]


def test_images_with_attributes_are_those_of_the_service_and_seeds_without_one_are_left_out(
    registry: Registry, open_source: Open
) -> None:
    brightest = max(brightness_of(all_of(open_source(per_type={"pits": 40}))))
    asked = {"brightness": [round(brightest, 2), 255]}  # so few are as bright that all candidates of a seed may not be
    body: dict[str, Any] = {"per_type": {"pits": 25}, "attributes": asked}
    source = open_source(**body)
    records = all_of(source)
    seeds = [each.address["seed"] for each in records]
    missed = sorted(set(range(seeds[-1])) - set(seeds))
    assert len(records) == 25 and source.left_out["other_attributes"] == len(missed) > 0
    low, high = asked["brightness"]
    assert all(low - 0.01 <= each <= high + 0.01 for each in brightness_of(records))
    engine = Engine(registry, 1, CPU)
    for record in records[:5]:
        address = Address("pits", record.address["seed"], from_json(asked))
        [found] = engine.search("m@1", [address])
        assert found.pixels is not None and record.png == engine.encoder("m@1")(address, found.pixels)
        assert record.address["attributes"] == asked
    lacking = engine.search("m@1", [Address("pits", seed, from_json(asked)) for seed in missed[:3]])
    assert all(each.pixels is None for each in lacking)

    again, found_again = open_source(**body), list[ExportRecord]()
    while not again.over:
        found_again += again.next()
        again = open_source(state=again.state(), **body)
    assert found_again == records and again.left_out == source.left_out


def test_a_seed_that_was_withdrawn_is_left_out_with_every_attribute(
    registry: Registry, version: ModelVersion, open_source: Open
) -> None:
    registry.withdraw(version, Address("pits", 1), "why")
    source = open_source(per_type={"pits": 3}, attributes={"brightness": [0, 255]})
    assert [each.address["seed"] for each in all_of(source)] == [0, 2, 3]
    assert source.left_out == {"withdrawn": 1}


def test_a_range_that_no_sample_has_ends_the_export_with_a_reason(open_source: Open) -> None:
    with pytest.raises(TooFewPass, match=r"other_attributes.*wider 'attributes'"):
        all_of(open_source(per_type={"pits": 3}, attributes={"brightness": [0, 0.5]}))
