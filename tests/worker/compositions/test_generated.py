"""Compositions of generated defects: of which images, at which scale, what they say, and what is left out."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.worker.compositions.generated import CLASSES, CPU, BrightPlaces, publish_labelled
from tests.worker.compositions.material import Workshop, png, surface

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.store.background_image import background_file
from flawsmith.core.store.job_folder import JobFolder
from flawsmith.models.compositions import Patch, is_cut
from flawsmith.worker import published_labels
from flawsmith.worker.compositions import generated_defects
from flawsmith.worker.compositions.defects import CannotPlace
from flawsmith.worker.compositions.generated_defects import GeneratedDefects
from flawsmith.worker.compositions.hosts import read_pixels
from flawsmith.worker.compositions.source import CompositionSource
from flawsmith.worker.engine import Engine
from flawsmith.worker.exports import checked_images
from flawsmith.worker.exports.checked_images import CheckedImages
from flawsmith.worker.exports.records import ExportRecord
from flawsmith.worker.published_labels import FoundLabels


@pytest.fixture(autouse=True)
def labelled(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BrightPlaces, "registry", workshop.services.registry, raising=False)
    monkeypatch.setattr(published_labels, "PublishedLabels", BrightPlaces)


@pytest.fixture(scope="module")
def version(workshop: Workshop) -> ModelVersion:
    return publish_labelled(workshop)


def records(source: CompositionSource) -> Iterator[ExportRecord]:
    while not source.over:
        yield from source.next()


def made(workshop: Workshop, version: ModelVersion, **config: Any) -> list[ExportRecord]:
    return list(records(CompositionSource(workshop.generated_job(version, **config), workshop.services, CPU, {})))


def parts(found: list[ExportRecord]) -> list[dict[str, Any]]:
    return [part for record in found for part in record.address["composition"]["parts"]]


def library(workshop: Workshop, version: ModelVersion, block: int = 0, **given: Any) -> list[Patch]:
    images = CheckedImages(version, workshop.services.registry, CPU, floor=given.pop("floor", None))
    defects = GeneratedDefects(images, given.get("types", version.classes), given.get("scale", 1.0))
    return [patch for step in defects.patches(block) for patch in step]


def address(patch: Patch) -> Address:
    source = json.loads(patch.source)
    return Address(source["defect_type"], source["seed"])


def pixels(record: ExportRecord) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(record.png)))


def test_each_part_says_which_image_it_is_of(workshop: Workshop, version: ModelVersion) -> None:
    found = made(workshop, version)
    assert len(found) == 6
    for record in found:
        composition = record.address["composition"]
        assert composition["background"]["dataset"] == workshop.background
        assert len(composition["parts"]) == len(record.defects)
        for part, defect in zip(composition["parts"], record.defects, strict=True):
            assert (part["model"], part["mask"], part["defect_type"]) == (version.ref, "learned", defect.defect_type)
            place = f"/models/glossy/versions/{version.version}/images/{part['seed']}.png"
            assert part["url"] == f"{place}?defect_type={part['defect_type']}"
        assert record.held == [(version.ref, each["defect_type"], each["seed"]) for each in composition["parts"]]
        image = Image.open(io.BytesIO(record.png))
        assert (image.info["Synthetic"], json.loads(image.info["Composition"])) == ("true", composition)
        assert b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in record.png
    assert {each["defect_type"] for each in parts(found)} == set(CLASSES)


def test_patches_are_the_pixels_of_their_addresses(workshop: Workshop, version: ModelVersion) -> None:
    engine = Engine(workshop.services.registry, 1, CPU)
    patches = library(workshop, version)
    assert len(patches) > 100
    for patch in patches[::20]:
        [image] = engine.sample(version.ref, [address(patch)])
        assert (patch.pixels == image[..., 0]).all(), "the margin reaches all of a small image"
        x, y, width, height = json.loads(patch.source)["box"]
        rows, columns = np.nonzero(patch.mask)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x, y, x + width, y + height)


def test_a_block_has_images_of_its_own_seeds(workshop: Workshop, version: ModelVersion) -> None:
    for block in (0, 3):
        seeds = {address(each).seed for each in library(workshop, version, block)}
        assert seeds <= set(range(256 * block, 256 * block + 256))
        assert len(seeds) > 50


def test_a_seed_alone_decides_an_image(workshop: Workshop, version: ModelVersion) -> None:
    few, many = made(workshop, version, count=2, seed=254), made(workshop, version, count=8, seed=252)
    assert [each.png for each in few] == [each.png for each in many[2:4]]
    assert len({each.png for each in many}) == 8


def test_it_continues_from_its_state(workshop: Workshop, version: ModelVersion) -> None:
    job = workshop.generated_job(version, seed=253)
    source, found = CompositionSource(job, workshop.services, CPU, {}), list[bytes]()
    while not source.over:
        before = source.state()
        if new := source.next():
            found += [each.png for each in new]
            state = json.loads(json.dumps(source.state()))
            assert state["made"] == before["made"] + 1
            source = CompositionSource(job, workshop.services, CPU, state)  # a new worker after each image
    assert found == [each.png for each in made(workshop, version, seed=253)]


def test_images_that_must_not_be_given_out_are_in_none(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, version: ModelVersion
) -> None:
    class Scores:
        def __init__(self, folder: Path, channels: int) -> None:
            pass

        def __call__(self, given: list[Address], pixels: NDArray[np.uint8]) -> list[float]:
            return [0.1 if each.seed % 2 else 0.9 for each in given]

    class Doubts(BrightPlaces):
        def __call__(self, addresses: Any, candidates: None = None) -> list[FoundLabels]:
            found = super().__call__(addresses)
            pairs = zip(found, addresses, strict=True)
            return [FoundLabels(each.mask, each.plausible and at.seed % 3 > 0) for each, at in pairs]

    monkeypatch.setattr(checked_images, "PublishedScore", Scores)
    monkeypatch.setattr(published_labels, "PublishedLabels", Doubts)
    own = publish_labelled(workshop, "guarded")
    allowed = {address(each) for each in library(workshop, own, floor=0.5)}
    assert all(each.seed % 2 == 0 and each.seed % 3 > 0 for each in allowed)
    gone = min(allowed, key=lambda each: each.seed)
    workshop.services.registry.withdraw(own, gone, "why")
    assert gone not in {address(each) for each in library(workshop, own, floor=0.5)}


def test_a_type_of_which_no_image_is_plausible_ends_the_job_with_words(
    workshop: Workshop, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: BrightPlaces, addresses: list[Address], candidates: None) -> list[FoundLabels]:
        return [FoundLabels(np.ones((32, 32), bool), each.defect_type != "pits") for each in addresses]

    monkeypatch.setattr(BrightPlaces, "__call__", nothing)
    words = r"of 256 images of 'pits' of glossy@\d none .* 256 doubtful_labels.*leave the type out of 'types'"
    with pytest.raises(CannotPlace, match=words):
        made(workshop, version)


def test_defects_at_the_border_are_left_out_where_others_are_enough(
    workshop: Workshop, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_the_border(self: BrightPlaces, addresses: list[Address], candidates: None) -> list[FoundLabels]:
        masks = np.zeros((len(addresses), 32, 32), bool)
        for mask, at in zip(masks, addresses, strict=True):
            mask[12:18, 20 : 26 if at.defect_type == "pits" and at.seed % 4 else 32] = True
        return [FoundLabels(each, plausible=True) for each in masks]

    monkeypatch.setattr(BrightPlaces, "__call__", at_the_border)
    patches = library(workshop, version)
    assert {each.defect_type for each in patches if is_cut(each)} == {"dents"}, "all dents are cut off, some pits"
    assert sum(each.defect_type == "pits" for each in patches) == 128


def test_defects_have_the_scale_of_the_card(workshop: Workshop, version: ModelVersion) -> None:
    sides = {}
    for scale in (0.5, 1.0, 2.0):
        patches = library(workshop, version, scale=scale)
        sides[scale] = float(np.median([np.sqrt(each.mask.sum()) for each in patches]))
        for patch in patches[::9]:
            x, y, width, height = json.loads(patch.source)["box"]
            assert 0 <= x < x + width <= 32
            assert 0 <= y < y + height <= 32
    assert sides[2.0] == pytest.approx(2 * sides[1.0], rel=0.15)
    assert sides[0.5] == pytest.approx(sides[1.0] / 2, rel=0.25)


def test_boxes_alone_give_the_pixels_that_stand_out_in_them(workshop: Workshop) -> None:
    found = made(workshop, publish_labelled(workshop, "boxed", labels="box"), count=3)
    assert {each["mask"] for each in parts(found)} == {"found in its box"}
    for record in found:
        for defect in record.defects:
            assert defect.marked is not None
            assert 0 < defect.marked.sum() < defect.marked.size


def test_a_librarys_patches_are_bounded(
    workshop: Workshop, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated_defects, "MOST_BYTES", 60_000)
    patches = library(workshop, version)
    assert {each.defect_type for each in patches} == set(CLASSES)
    assert sum(each.pixels.nbytes + 2 * each.mask.nbytes for each in patches) < 80_000


def test_an_image_that_was_sent_is_the_only_background(workshop: Workshop, version: ModelVersion) -> None:
    clean = surface(77, 150)
    job = workshop.generated_job(version, image={"sha256": hashlib.sha256(b"it").hexdigest()}, count=3)
    job = job.changed(background=None)
    place = background_file(JobFolder(workshop.store, job.id))
    workshop.store.write_bytes(place, png(clean))
    found = list(records(CompositionSource(job, workshop.services, CPU, {})))
    assert (read_pixels(place) == clean).all()
    for record in found:
        changed = pixels(record) != clean
        for left, top, right, bottom in (each.box for each in record.defects):
            changed[max(0, top - 40) : bottom + 40, max(0, left - 40) : right + 40] = False
        assert not changed.any()
        assert record.address["composition"]["background"] == {"image": job.config["image"]["sha256"]}
    assert len({each.background for each in found}) == 1
