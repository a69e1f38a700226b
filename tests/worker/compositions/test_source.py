"""Compositions as records: what is placed where, what is said of it, and that a seed alone decides it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.worker.compositions.material import SIDE, Workshop, clean_files, defect_files, png, surface

from flawsmith.core.store.composition_material import clean_photographs, region_of_mask
from flawsmith.worker.compositions import real_defects
from flawsmith.worker.compositions.defects import CannotPlace
from flawsmith.worker.compositions.hosts import read_pixels
from flawsmith.worker.compositions.real_defects import RealDefects, patches_of_annotations
from flawsmith.worker.compositions.source import CompositionSource
from flawsmith.worker.exports.records import ExportRecord

CPU = torch.device("cpu")


def catalogue_of(workshop: Workshop) -> RealDefects:
    stored = workshop.datasets.photographs(workshop.defects)
    return RealDefects(workshop.defects, "steel", stored, ["bars", "pits"])


def made(workshop: Workshop, **config: Any) -> list[ExportRecord]:
    return list(records(CompositionSource(workshop.job(**config), workshop.services, CPU, {})))


def records(source: CompositionSource) -> Iterator[ExportRecord]:
    while not source.over:
        yield from source.next()


def pixels(record: ExportRecord) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(record.png)))


def host(workshop: Workshop, record: ExportRecord) -> NDArray[np.uint8]:
    file = record.address["composition"]["background"]["file"]
    stored = clean_photographs(workshop.datasets, workshop.background)
    return read_pixels(next(each.path for each in stored if each.file == file))


def test_defects_lie_where_their_masks_say_and_nothing_else_changes(workshop: Workshop) -> None:
    found = made(workshop, count=8)
    assert len(found) == 8
    for record in found:
        changed = pixels(record).astype(int) - host(workshop, record)
        assert record.size == (128, 128), "the size of the clean photograph"
        assert 1 <= len(record.defects) <= 3
        marked = np.zeros(changed.shape, bool)
        for defect in record.defects:
            mask = defect.mask(record.size)
            assert mask is not None
            assert not (marked & mask).any(), "masks overlap"
            assert changed[mask].mean() < -25, "the defect is as dark as in its photograph"
            marked |= mask
        far = np.ones(changed.shape, bool)
        for left, top, right, bottom in (each.box for each in record.defects):
            far[max(0, top - 40) : bottom + 40, max(0, left - 40) : right + 40] = False
        assert not changed[far].any()


def test_each_says_what_it_is_made_of(workshop: Workshop) -> None:
    stored = workshop.datasets.photographs(workshop.defects)
    for record in made(workshop, count=4):
        composition = record.address["composition"]
        assert composition["background"]["dataset"] == workshop.background
        assert len(composition["parts"]) == len(record.defects)
        for part, defect in zip(composition["parts"], record.defects, strict=True):
            assert part["dataset"] == workshop.defects
            photograph = next(each for each in stored if each.file == part["file"])
            [annotated] = photograph.annotations.defects
            assert (part["defect_type"], part["mask"]) == (defect.defect_type, "annotated")
            assert tuple(part["box"]) == annotated.box
        image = Image.open(io.BytesIO(record.png))
        assert image.info["Synthetic"] == "true"
        assert json.loads(image.info["Composition"]) == composition
        assert b"digitalsourcetype/compositeCapture" in record.png


def test_a_seed_alone_decides_an_image(workshop: Workshop) -> None:
    few = made(workshop, count=2, seed=3)
    many = made(workshop, count=6, seed=0)
    assert [each.png for each in few] == [each.png for each in many[3:5]]
    assert len({each.png for each in many}) == 6
    backgrounds = [each.background for each in many]
    assert backgrounds[:3] == backgrounds[3:] and len(set(backgrounds)) == 3, "clean photographs take turns"


def test_it_continues_from_its_state(workshop: Workshop) -> None:
    whole = made(workshop)
    source = CompositionSource(workshop.job(), workshop.services, CPU, {})
    stream = records(source)
    begun = [next(stream) for _ in range(2)]
    state = json.loads(json.dumps(source.state()))
    rest = list(records(CompositionSource(workshop.job(), workshop.services, CPU, state)))
    assert [each.png for each in begun + rest] == [each.png for each in whole]


def test_only_the_types_that_are_asked_for_are_placed(workshop: Workshop) -> None:
    found = made(workshop, types=["pits"], per_image=[2, 2])
    assert {each.defect_type for record in found for each in record.defects} == {"pits"}
    assert all(len(record.defects) == 2 for record in found)


@pytest.mark.parametrize("form", ["polygon", "mask"])
def test_defects_keep_within_a_region(workshop: Workshop, form: str) -> None:
    allowed = np.zeros((128, 128), np.uint8)
    allowed[:, 64:] = 255
    region: dict[str, Any] = {"polygon": [[64, 0], [128, 0], [128, 128], [64, 128]]}
    if form == "mask":
        import base64

        region = region_of_mask(base64.b64encode(png(allowed)).decode(), [(128, 128)])
    for record in made(workshop, region=region, per_image=[1, 1]):
        assert not (pixels(record)[:, :64] != host(workshop, record)[:, :64]).any()


def test_without_room_the_job_ends_and_says_why(workshop: Workshop) -> None:
    region = {"polygon": [[0, 0], [4, 0], [4, 4], [0, 4]]}
    with pytest.raises(CannotPlace, match=r"0 of 5\d images could be made.*a larger region"):
        made(workshop, region=region)


def test_blocks_of_seeds_have_patches_of_their_own(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_defects, "PER_TYPE", 3)
    catalogue = catalogue_of(workshop)
    blocks = [catalogue.chosen(each) for each in range(8)]
    assert all(sum(map(len, each.values())) == 6 for each in blocks)
    assert len({json.dumps(each) for each in blocks}) > 4
    assert catalogue.chosen(2) == blocks[2]


def test_a_librarys_patches_are_bounded(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = catalogue_of(workshop)
    monkeypatch.setattr(real_defects, "MOST_BYTES", 400_000)
    stored = workshop.datasets.photographs(workshop.defects)
    patches = [
        each
        for place, found in catalogue.chosen(0).items()
        for each in patches_of_annotations(stored[place], place, found)
    ]
    assert 4 < len(patches) < 20
    assert sum(each.pixels.nbytes + 2 * each.mask.nbytes for each in patches) < 400_000
    assert all(each.pixels.base is None for each in patches), "a view keeps its whole photograph"


def test_defects_that_the_border_cuts_off_are_left_out_where_others_are_enough(tmp_path: Path) -> None:
    files = defect_files()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:6, 40:60] = True
    cut = surface(77)
    cut[mask] = 90
    files |= {"images/pits/cut.png": png(cut), "masks/pits/cut.png": png(mask.astype(np.uint8) * 255)}
    workshop = Workshop(tmp_path)
    stored = workshop.datasets.photographs(workshop.add(tmp_path, "cut", files))
    catalogue = RealDefects("ds", "cut", stored, ["pits"])
    assert len(catalogue.by_type["pits"]) == 10
    assert "cut.png" not in {stored[each.photograph].file for each in catalogue.by_type["pits"]}


def test_a_box_without_a_mask_gives_the_pixels_that_stand_out(tmp_path: Path, workshop: Workshop) -> None:
    lines = {}
    for name, data in defect_files().items():
        if name.startswith("images/pits"):
            lines[name] = data
            number = int(name[-6:-4])
            from tests.worker.compositions.material import marks

            rows, columns = np.nonzero(marks(100 + number, "pits"))
            left, right, top, bottom = columns.min() - 2, columns.max() + 3, rows.min() - 2, rows.max() + 3
            box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            lines[f"labels/pits/{number:02d}.txt"] = ("0 " + " ".join(f"{each / SIDE}" for each in box)).encode()
    own = Workshop(tmp_path)
    own.defects = own.add(tmp_path, "boxes", {**lines, "data.yaml": b"names: [pits]\n"})
    for record in made(own, types=["pits"], per_image=[1, 1]):
        [part] = record.address["composition"]["parts"]
        assert part["mask"] == "found in its box"
        [defect] = record.defects
        assert defect.marked is not None
        changed = pixels(record).astype(int) - host(own, record)
        mask = defect.mask(record.size)
        assert changed[mask].mean() < -25


def test_which_photographs_count_as_clean(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)

    def files(name: str, content: dict[str, bytes]) -> list[str]:
        return [each.file for each in clean_photographs(workshop.datasets, workshop.add(tmp_path, name, content))]

    assert len(files("unannotated", {f"{i}.png": png(surface(900 + i)) for i in range(3)})) == 3
    assert files("defects-only", defect_files(3)) == []
    mixed = {**{f"images/{each}": data for each, data in clean_files(2, SIDE).items()}, **defect_files(4)}
    assert all("good" in each for each in files("mixed", mixed))
