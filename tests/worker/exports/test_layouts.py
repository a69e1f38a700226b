"""Each layout of an export, read by programs that others wrote."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import supervision
from PIL import Image
from pycocotools.coco import COCO
from tests.worker.exports.conftest import MakeSite
from tests.worker.exports.labelled_source import CLASSES, HEIGHT, WIDTH, Site, drawn_masks

from flawsmith.core.domain.digital_source_type import GENERATED
from flawsmith.core.domain.export_layouts import LabelKind
from flawsmith.worker.exports.layouts.voc import VocWriter
from flawsmith.worker.exports.polygons import outlines, overlap
from flawsmith.worker.exports.records import ExportRecord

SPLIT = {"train": 0.7, "val": 0.3}
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def unpacked(site: Site, folder: Path) -> dict[str, Any]:
    """Runs the job, unpacks its archive and returns the manifest."""
    site.run()
    with zipfile.ZipFile(site.archive) as archive:
        assert archive.testzip() is None
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
        assert len(set(archive.namelist())) == len(archive.namelist())
        archive.extractall(folder)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return manifest


def image_folder(root: Path) -> list[tuple[str, str]]:
    """What torchvision.datasets.ImageFolder finds: (path, class), by the rules of its `make_dataset`."""
    classes = sorted(each.name for each in root.iterdir() if each.is_dir())
    assert classes, "torchvision raises FileNotFoundError"
    found = []
    for name in classes:
        files = sorted(each for each in (root / name).rglob("*") if each.suffix == ".png")
        assert files, "torchvision raises FileNotFoundError for a class without images"
        found += [(str(each), name) for each in files]
    return found


def boxes(record: dict[str, Any]) -> set[tuple[int, ...]]:
    return {tuple(each["box"]) for each in record["defects"]}


def seed_of(path: str) -> int:
    return int(Path(path).stem.rpartition("-")[2])


@pytest.mark.parametrize("split", [None, SPLIT])
def test_an_imagefolder_has_a_folder_for_each_type(
    make_site: MakeSite, tmp_path: Path, split: dict[str, float] | None
) -> None:
    manifest = unpacked(make_site("imagefolder", 40, split=split), tmp_path / "out")
    roots = [tmp_path / "out" / name for name in split] if split else [tmp_path / "out"]
    found = [each for root in roots for each in image_folder(root)]
    assert len(found) == 40
    assert {name for _, name in found} == {"pits", "cuts_ deep"}  # Windows has no colon in names
    assert {(str(tmp_path / "out" / each["file"])) for each in manifest["images"]} == {path for path, _ in found}


def test_every_record_says_that_it_is_synthetic_and_its_address(make_site: MakeSite, tmp_path: Path) -> None:
    manifest = unpacked(make_site("imagefolder", split=SPLIT), tmp_path)
    assert (manifest["synthetic"], manifest["digital_source_type"], manifest["of"]) == (True, TERM, "steel@1")
    for number, each in enumerate(manifest["images"]):
        assert (each["synthetic"], each["model"], each["seed"]) == (True, "steel@1", number)
        assert each["defect_type"] == CLASSES[number % 2]
        assert each["file"].startswith(f"{each['split']}/")
        with Image.open(tmp_path / each["file"]) as image:
            assert image.text["Synthetic"] == "true"  # type: ignore[attr-defined]
            assert TERM in image.text["XML:com.adobe.xmp"]  # type: ignore[attr-defined]


def test_pycocotools_reads_the_masks_and_boxes_of_coco(make_site: MakeSite, tmp_path: Path) -> None:
    manifest = unpacked(make_site("coco", split=SPLIT), tmp_path)
    seeds = []
    for split in SPLIT:
        coco = COCO(tmp_path / f"annotations/instances_{split}.json")
        assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == CLASSES
        for image in coco.loadImgs(coco.getImgIds()):
            assert (image["synthetic"], image["model"], image["width"], image["height"]) == (
                True,
                "steel@1",
                WIDTH,
                HEIGHT,
            )
            assert (tmp_path / "images" / split / image["file_name"]).exists()
            seeds.append(image["seed"])
            annotations = coco.loadAnns(coco.getAnnIds(image["id"]))
            masks = drawn_masks(image["seed"])
            truth = np.asarray(Image.open(tmp_path / "masks" / split / image["file_name"]))
            for number, (annotation, mask) in enumerate(zip(annotations, masks, strict=True), 1):
                assert np.array_equal(coco.annToMask(annotation).astype(bool), mask)
                assert np.array_equal(truth == number, mask)
                left, top, width, height = annotation["bbox"]
                assert np.array_equal(np.argwhere(mask).min(0), [top, left])
                assert np.array_equal(np.argwhere(mask).max(0) + 1, [top + height, left + width])
                assert (annotation["area"], annotation["synthetic"]) == (mask.sum(), True)
                assert coco.loadCats(annotation["category_id"])[0]["name"] == image["defect_type"]
    assert sorted(seeds) == list(range(12)) == [each["seed"] for each in manifest["images"]]


def test_another_reader_finds_the_same_masks_in_coco(make_site: MakeSite, tmp_path: Path) -> None:
    unpacked(make_site("coco"), tmp_path)
    dataset = supervision.DetectionDataset.from_coco(
        str(tmp_path / "images/train"), str(tmp_path / "annotations/instances_train.json"), force_masks=True
    )
    assert dataset.classes == CLASSES
    for path, _, found in dataset:
        assert np.array_equal(np.asarray(found.mask), np.array(drawn_masks(seed_of(path))))


@pytest.mark.parametrize("labels", [LabelKind.MASKS, LabelKind.BOXES])
def test_a_yolo_reader_finds_the_boxes(make_site: MakeSite, tmp_path: Path, labels: LabelKind) -> None:
    manifest = unpacked(make_site("yolo", labels=labels, split=SPLIT), tmp_path)
    count = 0
    for split in SPLIT:
        dataset = supervision.DetectionDataset.from_yolo(
            str(tmp_path / "images" / split), str(tmp_path / "labels" / split), str(tmp_path / "data.yaml")
        )
        assert dataset.classes == CLASSES
        for path, _, found in dataset:
            [record] = [each for each in manifest["images"] if each["seed"] == seed_of(path)]
            count += 1
            assert {tuple(map(round, each)) for each in found.xyxy.tolist()} == boxes(record)
            assert {CLASSES[each] for each in found.class_id} == {record["defect_type"]}  # type: ignore[union-attr]
    assert count == 12
    assert (tmp_path / "masks").exists() is (labels is LabelKind.MASKS)


def test_the_manifest_states_what_outlines_lose(make_site: MakeSite, tmp_path: Path) -> None:
    manifest = unpacked(make_site("yolo", 60), tmp_path)
    stated = manifest["iou_of_outlines"]
    found = [
        overlap([np.array(line.split()[1:], float).reshape(-1, 2) * (WIDTH, HEIGHT)], mask)
        for each in manifest["images"]
        for line, mask in zip(
            (tmp_path / each["labels"]).read_text().splitlines(), drawn_masks(each["seed"]), strict=True
        )
    ]
    assert stated["mean"] == pytest.approx(np.mean(found), abs=1e-3)
    assert stated["least"] == pytest.approx(min(found), abs=1e-3)
    assert stated["least"] < 0.97 < stated["mean"]  # discs with holes lose them


def test_an_outline_without_holes_is_the_mask() -> None:
    for seed in (1, 2, 4, 5):
        for mask in drawn_masks(seed):
            assert overlap(outlines(mask), mask) > 0.98
    single = np.zeros((5, 5), bool)
    single[2, 3] = True
    [diamond] = outlines(single)
    assert np.allclose(diamond.mean(0), [3.5, 2.5])


@pytest.mark.parametrize("labels", [LabelKind.MASKS, LabelKind.BOXES])
def test_a_voc_reader_finds_the_boxes(make_site: MakeSite, tmp_path: Path, labels: LabelKind) -> None:
    manifest = unpacked(make_site("voc", labels=labels, split=SPLIT), tmp_path)
    dataset = supervision.DetectionDataset.from_pascal_voc(str(tmp_path / "JPEGImages"), str(tmp_path / "Annotations"))
    assert sorted(dataset.classes) == sorted(CLASSES)
    assert len(dataset) == 12
    for path, _, found in dataset:
        [record] = [each for each in manifest["images"] if each["seed"] == seed_of(path)]
        assert {tuple(each) for each in found.xyxy.astype(int).tolist()} == boxes(record)
    listed = [(tmp_path / f"ImageSets/Main/{split}.txt").read_text().split("\n")[:-1] for split in SPLIT]
    assert sorted(listed[0] + listed[1]) == sorted(Path(each["file"]).stem for each in manifest["images"])
    for each in manifest["images"]:
        annotation = ElementTree.parse(tmp_path / each["annotation"]).getroot()
        texts = [annotation.findtext(name) for name in ("synthetic", "model", "seed", "defect_type")]
        assert texts == ["true", "steel@1", str(each["seed"]), each["defect_type"]]


def test_names_of_files_have_no_spaces_and_are_never_the_same() -> None:
    classes = ["a b", "A_b", "a  b", "a_b_"]
    writer = VocWriter("steel@1", classes, LabelKind.BOXES, [], GENERATED)
    names = [writer.unique_name(ExportRecord("7", each, (1, 1), b"", {}, [])) for each in classes]
    assert not any(" " in each for each in names)
    assert len({each.casefold() for each in names}) == len(classes)


def test_voc_has_masks_of_types_and_of_single_defects(make_site: MakeSite, tmp_path: Path) -> None:
    manifest = unpacked(make_site("voc"), tmp_path)
    for each in manifest["images"]:
        name, masks = Path(each["file"]).name, drawn_masks(each["seed"])
        with Image.open(tmp_path / "SegmentationClass" / name) as types:
            assert types.mode == "P"
            assert np.array_equal(np.asarray(types), np.any(masks, 0) * (1 + each["seed"] % 2))
            assert types.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]  # as in VOC's own masks
        single = np.asarray(Image.open(tmp_path / "SegmentationObject" / name))
        assert all(np.array_equal(single == number, mask) for number, mask in enumerate(masks, 1))


def test_mvtec_has_a_mask_beside_each_image(make_site: MakeSite, tmp_path: Path) -> None:
    manifest = unpacked(make_site("mvtec"), tmp_path)
    category = tmp_path / "steel-1"
    assert sorted(each.name for each in (category / "test").iterdir()) == ["cuts_ deep", "pits"]
    for each in manifest["images"]:
        image, mask = tmp_path / each["file"], tmp_path / each["mask"]
        assert mask == category / "ground_truth" / image.parent.name / f"{image.stem}_mask.png"
        assert np.array_equal(np.asarray(Image.open(mask)), np.any(drawn_masks(each["seed"]), 0) * np.uint8(255))
        assert "trainedAlgorithmicMedia" in Image.open(io.BytesIO(mask.read_bytes())).text["XML:com.adobe.xmp"]  # type: ignore[attr-defined]
