"""An archive that Flawsmith exported is understood when it is uploaded."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.worker.exports.conftest import MakeSite
from tests.worker.exports.labelled_source import CLASSES, Site, drawn_masks

from flawsmith.core.domain.export_layouts import LabelKind
from flawsmith.core.domain.records import Dataset
from flawsmith.core.settings import Settings
from flawsmith.core.store.datasets import Datasets, UploadOptions

SPLIT = {"train": 0.7, "val": 0.3}
EVERYTHING = UploadOptions(split="all")


def uploaded(site: Site, archive: Path, options: UploadOptions = EVERYTHING) -> tuple[Datasets, Dataset]:
    datasets = Datasets(site.store, Settings(data_dir=site.store.root.parent))
    return datasets, datasets.add_archive("again", archive, options)[0]


def defects_of(seed: int) -> int:
    return len(drawn_masks(seed))


@pytest.mark.parametrize("layout", ["imagefolder", "mvtec", "coco", "yolo", "voc"])
def test_images_types_splits_and_defects_come_back(make_site: MakeSite, layout: Any) -> None:
    site = make_site(layout, 12, split=None if layout == "mvtec" else SPLIT)
    site.run()
    datasets, found = uploaded(site, site.archive)
    assert found.rejected == []
    assert found.layout and found.layout.kind == layout
    assert found.classes == {"cuts: deep": 6, "pits": 6}
    assert found.defects == {
        name: sum(defects_of(seed) for seed in range(index, 12, 2)) for index, name in enumerate(CLASSES)
    }
    with zipfile.ZipFile(site.archive) as archive:
        rows = json.loads(archive.read("manifest.json"))["images"]
    seeds = {row["file"]: row["seed"] for row in rows}
    for each in datasets.photographs("again"):
        masks = drawn_masks(seeds[each.file])
        known = each.annotations
        boxes = {(int(x), int(y), int(x + width), int(y + height)) for x, y, width, height in known.boxes}
        row = next(row for row in rows if row["file"] == each.file)
        if layout != "yolo":  # whose outlines are rounded
            assert boxes == {tuple(defect["box"]) for defect in row["defects"]}
        mask = known.mask()
        if layout == "imagefolder":  # has no place for masks
            assert mask is None
        else:
            assert mask is not None
            expected = np.any(masks, 0)
            assert (mask & expected).sum() / (mask | expected).sum() > (0.7 if layout == "yolo" else 0.999)


@pytest.mark.parametrize("layout", ["imagefolder", "coco", "yolo", "voc"])
def test_only_the_split_train_is_trained_on(make_site: MakeSite, layout: Any) -> None:
    site = make_site(layout, 40, split=SPLIT, labels=LabelKind.BOXES)
    site.run()
    _, found = uploaded(site, site.archive, UploadOptions())
    with zipfile.ZipFile(site.archive) as archive:
        rows = json.loads(archive.read("manifest.json"))["images"]
    assert found.image_count == sum(row["split"] == "train" for row in rows) < 40
    assert found.layout and found.layout.splits["val"] == 40 - found.image_count


def test_the_dataset_says_that_its_images_are_synthetic(make_site: MakeSite) -> None:
    site = make_site("imagefolder", 12)
    site.run()
    _, found = uploaded(site, site.archive)
    assert any(each.startswith("12 of 12 images say of themselves that they are synthetic") for each in found.warnings)


def test_labels_that_somebody_mended_win_over_the_manifest(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site("coco", 4, labels=LabelKind.BOXES)
    site.run()
    mended = tmp_path / "mended.zip"
    with zipfile.ZipFile(site.archive) as archive, zipfile.ZipFile(mended, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("instances_train.json"):
                coco = json.loads(content)
                first = {each["image_id"]: each for each in reversed(coco["annotations"])}
                coco["annotations"] = [{**each, "bbox": [1, 2, 30, 20]} for each in first.values()]
                content = json.dumps(coco).encode()
            changed.writestr(name, content)
    datasets, found = uploaded(site, mended)
    assert sum(found.defects.values()) == found.image_count == 4
    assert all(each.annotations.boxes == [(1, 2, 30, 20)] for each in datasets.photographs("again"))


@pytest.mark.parametrize(
    "images",
    [
        [{"file": "pits/0.png"}],
        [{"file": "pits/0.png", "defect_type": "pits", "defects": [3]}],
        [{"file": "pits/0.png", "defect_type": "pits", "boxes": [["a", 1, 2, 3]]}],
        [{"file": "elsewhere.png", "defect_type": "pits"}],
    ],
)
def test_a_damaged_manifest_is_rejected_with_a_reason_of_its_own(
    make_site: MakeSite, tmp_path: Path, images: Any
) -> None:
    site = make_site("imagefolder", 4)
    site.run()
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(site.archive) as archive, zipfile.ZipFile(damaged, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "manifest.json":
                content = json.dumps({"synthetic": True, "images": images}).encode()
            changed.writestr(name, content)
    _, found = uploaded(site, damaged)
    assert [each.file for each in found.rejected] == ["manifest.json"]
    assert "manifest" in found.rejected[0].reason
    assert found.image_count == 4
