"""Layouts that people have are recognised: masks, labels, clean photographs and splits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import photograph, zipped
from tests.core.store import trees

from flawsmith.core.domain.records import Dataset, Layout
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets, UnknownSplit, UploadOptions
from flawsmith.core.store.datasets.annotating import TOO_MANY_BOXES
from flawsmith.core.store.datasets.annotations import LaterFormat
from flawsmith.core.store.datasets.folder_words import place_of
from flawsmith.core.store.datasets.photograph_names import PhotographNames
from flawsmith.core.store.images import Abandoned


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    return Datasets(ArtifactStore(tmp_path / "store"), Settings())


def add(datasets: Datasets, files: dict[str, bytes], name: str = "steel", **options: Any) -> Dataset:
    path = datasets.store.root.parent / "upload"
    path.write_bytes(zipped(files))
    return datasets.add_archive(name, path, UploadOptions(**options))[0]


def layout(dataset: Dataset) -> Layout:
    assert dataset.layout is not None
    return dataset.layout


def stored(datasets: Datasets, dataset: Dataset, folder: str) -> list[Path]:
    return sorted((datasets.store.root / "datasets" / dataset.id / folder).glob("*.png"))


CASES = [
    # tree, kind, types, masks, boxes, clean, splits
    (trees.mvtec, "mvtec", {"crack": 3, "contamination": 3}, 6, 0, 6, {"train": 4, "test": 8}),
    (trees.kolektor, "kolektor", {"steel": 4}, 4, 0, 4, {}),
    (trees.kolektor2, "kolektor", {"steel": 2}, 2, 0, 2, {"train": 4, "test": 4}),
    (trees.dagm, "dagm", {"Class1": 3, "Class2": 3}, 6, 0, 6, {"train": 12, "test": 12}),
    (trees.visa, "visa", {"Anomaly": 3}, 3, 0, 3, {}),
    (trees.magnetic_tile, "pairs", {"MT_Blowhole": 3}, 3, 0, 3, {}),
    (trees.images_and_masks, "pairs", {"steel": 3}, 3, 0, 0, {}),
    (trees.image_folder, "imagefolder", {"dents": 3, "pits": 3}, 0, 0, 0, {"train": 6, "val": 6, "test": 6}),
    (trees.coco, "coco", {"scratch": 2, "pit": 1}, 0, 3, 1, {"train": 4, "val": 4}),
    (trees.yolo, "yolo", {"scratch": 3}, 0, 3, 1, {"train": 4, "val": 4}),
    (trees.voc, "voc", {"pit": 3}, 0, 3, 0, {"train": 3, "val": 2}),
    (trees.deep_crack, "pairs", {"DeepCrack": 3}, 3, 0, 0, {"train": 3, "test": 3}),
    (trees.inputs_and_targets, "pairs", {"steel": 3}, 3, 0, 0, {"train": 3, "test": 3}),
    (trees.casting, "imagefolder", {"def_front": 3}, 0, 0, 3, {"train": 6, "test": 6}),
    (trees.aitex, "pairs", {"Defect_images": 3}, 3, 0, 3, {}),
]


@pytest.mark.parametrize(("tree", "kind", "types", "masks", "boxes", "clean", "splits"), CASES)
def test_a_layout_is_recognised(
    datasets: Datasets,
    tree: Any,
    kind: str,
    types: dict[str, int],
    masks: int,
    boxes: int,
    clean: int,
    splits: dict[str, int],
) -> None:
    dataset = add(datasets, tree())
    understood = layout(dataset)
    assert dataset.classes == types
    assert dataset.image_count == understood.photographs == sum(types.values())
    assert (understood.kind, understood.masks, understood.boxes, understood.clean) == (kind, masks, boxes, clean)
    assert understood.splits == splits
    assert len(stored(datasets, dataset, "images")) == dataset.image_count
    assert (len(stored(datasets, dataset, "masks")), len(stored(datasets, dataset, "clean"))) == (masks, clean)
    loaded = datasets.load(dataset.id, 32)
    assert (len(loaded.pixels), loaded.classes) == (dataset.image_count, sorted(types))
    marked = [each for each in datasets.load_masks(dataset.id, 32) if each is not None]
    assert bool(marked) == bool(masks)
    assert all(each.shape == (32, 32) for each in marked)
    if masks or boxes:
        assert understood.size_of_defects is not None
        assert (understood.size_of_defects.median, understood.size_of_defects.min) == (4, 4)
    else:
        assert understood.size_of_defects is None


@pytest.mark.parametrize("tree", [case[0] for case in CASES])
def test_no_mask_is_a_photograph_below_a_folder_of_its_own_either(datasets: Datasets, tree: Any) -> None:
    bare, below = (
        add(datasets, tree(), "bare"),
        add(datasets, {f"download/{path}": data for path, data in tree().items()}, "below"),
    )
    assert (layout(below).masks, layout(below).boxes) == (layout(bare).masks, layout(bare).boxes)
    assert below.image_count == bare.image_count


def test_a_stored_mask_marks_the_defect_of_its_photograph(datasets: Datasets) -> None:
    files = trees.images_and_masks()
    files["masks/1.png"] = trees.mask((0, 0, 3, 3), (20, 20, 5, 5))
    dataset = add(datasets, files)
    assert layout(dataset).size_of_defects is not None
    index = datasets.store.read_json(datasets.store.path("datasets", dataset.id, "index.json"))
    entry = next(each for each in index if each["file"] == "images/1.jpg")
    assert entry["defects"] == [[0, 0, 3, 3], [20, 20, 5, 5]]
    with Image.open(datasets.store.path("datasets", dataset.id, entry["masks"][0])) as stored_mask:
        assert stored_mask.getbbox() == (0, 0, 25, 25)


@pytest.mark.parametrize("step", ["new-000000.png", "new-000005.png", "preview.png"])
def test_nothing_is_published_for_a_caller_who_left_at_any_step(datasets: Datasets, step: str) -> None:
    with pytest.raises(Abandoned):
        add(datasets, trees.images_and_masks(), abandoned=lambda: any(datasets.store.root.rglob(step)))
    assert datasets.list() == []
    assert not list(datasets.store.root.rglob("*.png"))


SPLITS = trees.image_folder()


def test_other_splits_are_rejected_with_the_way_to_choose_them(datasets: Datasets) -> None:
    dataset = add(datasets, SPLITS)
    assert {each.file for each in dataset.rejected} == {path for path in SPLITS if "/train/" not in path}
    assert "'val'" in next(each.reason for each in dataset.rejected if "/val/" in each.file)
    assert any("only the split 'train'" in note for note in layout(dataset).notes)


@pytest.mark.parametrize(("split", "count"), [("val", 6), ("validation", 6), ("all", 18), ("train", 6)])
def test_the_caller_chooses_the_split(datasets: Datasets, split: str, count: int) -> None:
    assert add(datasets, SPLITS, split=split).image_count == count


def test_a_split_that_is_not_there_is_refused_with_those_that_are(datasets: Datasets) -> None:
    with pytest.raises(UnknownSplit, match=r"no split 'holdout'.*train.*val.*test.*all"):
        add(datasets, SPLITS, split="holdout")


def test_where_train_is_clean_the_defects_of_test_are_used_and_that_is_said(datasets: Datasets) -> None:
    dataset = add(datasets, trees.mvtec())
    assert any("'train' holds clean photographs only" in note and "'test'" in note for note in layout(dataset).notes)
    assert dataset.rejected == []


def test_several_objects_keep_their_types_apart(datasets: Datasets) -> None:
    files = trees.mvtec()
    cable = {path.replace("bottle", "cable"): photograph(500 + i) for i, path in enumerate(files) if "/test/" in path}
    assert add(datasets, {**files, **cable}).classes == {
        f"{thing}-{kind}": 3 for thing in ("bottle", "cable") for kind in ("contamination", "crack")
    }


@pytest.mark.parametrize(
    "name", ["good", "OK", "Normal", "defect_free", "no-defect", "MT_Free", "ok_front", "Good parts"]
)
def test_clean_photographs_are_no_type(datasets: Datasets, name: str) -> None:
    files = {f"{name}/{i}.png": photograph(i) for i in range(3)} | {f"dents/{i}.png": photograph(9 + i) for i in (0, 1)}
    dataset = add(datasets, files)
    assert (dataset.classes, layout(dataset).clean) == ({"dents": 2}, 3)


def test_clean_photographs_alone_are_trained_on(datasets: Datasets) -> None:
    dataset = add(datasets, {f"good/{i}.png": photograph(i) for i in range(3)})
    assert (dataset.classes, layout(dataset).clean) == ({"good": 3}, 0)
    assert "clean ones are trained on" in " ".join(layout(dataset).notes)


@pytest.mark.parametrize("folder", ["images", "Imgs", "JPEGImages", "train", "train_images", "data/img"])
def test_folders_of_images_are_no_types(datasets: Datasets, folder: str) -> None:
    assert add(datasets, {f"{folder}/{i}.png": photograph(i) for i in range(3)}).classes == {"steel": 3}


@pytest.mark.parametrize("name", ["not_ok", "no_good", "normal_wear", "ok_scratched", "front"])
def test_a_name_with_a_word_of_clean_ones_may_be_a_type(datasets: Datasets, name: str) -> None:
    files = {f"{name}/{i}.png": photograph(i) for i in range(3)} | {f"dents/{i}.png": photograph(9 + i) for i in (0, 1)}
    assert add(datasets, files).classes == {"dents": 2, name: 3}


@pytest.mark.parametrize("folder", ["labels", "masks", "mask", "target", "lab"])
def test_a_type_may_be_named_as_masks_are(datasets: Datasets, folder: str) -> None:
    files = {f"{kind}/{i}.png": photograph(10 * len(kind) + i) for kind in (folder, "dents") for i in range(3)}
    assert add(datasets, files).classes == {"dents": 3, folder: 3}


def test_two_photographs_of_one_name_are_both_photographs(datasets: Datasets) -> None:
    files = {f"dents/{i}.{suffix}": photograph(10 * i + len(suffix)) for i in range(2) for suffix in ("jpeg", "png")}
    assert add(datasets, files).classes == {"dents": 4}


def test_a_mask_without_its_photograph_and_one_of_another_size_are_rejected(datasets: Datasets) -> None:
    files = trees.images_and_masks()
    files["masks/9.png"] = trees.mask(trees.DEFECT)
    files["masks/1.png"] = trees.mask(trees.DEFECT, side=50)
    dataset = add(datasets, files)
    reasons = {each.file: each.reason for each in dataset.rejected}
    assert set(reasons) == {"masks/9.png", "masks/1.png"}
    assert "without its photograph" in reasons["masks/9.png"] and "size" in reasons["masks/1.png"]
    assert (dataset.image_count, layout(dataset).masks) == (3, 2)


@pytest.mark.parametrize(
    ("file", "data", "words"),
    [
        ("labels/0.json", b'{"shapes": []}', "no known layout"),
        ("labels/0.xml", b"<a>", "malformed"),
        ("labels/0.xml", b"<!DOCTYPE a><annotation/>", "document type"),
        ("coco.json", b'{"images": [{"id": 1, "file_name": "other.png"}], "annotations": []}', "none of the photo"),
        ("coco.json", b'{"images": [3], "annotations": []}', "lacks a field"),
        ("coco.json", b"[" * 100_000, "malformed"),
        ("labels/0.txt", b"a caption of the picture", "malformed"),
        ("labels/0.txt", b"0 .5 .5 nan .1", "malformed"),
        ("labels/0.txt", b"\xff\xfe", "malformed"),
        ("notes.csv", b"a,b", "no known layout"),
        ("classes.txt", b"dent", "no known layout"),
    ],
)
def test_a_label_file_that_nothing_understands_is_rejected(
    datasets: Datasets, file: str, data: bytes, words: str
) -> None:
    dataset = add(datasets, {f"dents/{i}.png": photograph(i) for i in range(3)} | {file: data})
    assert [each.file for each in dataset.rejected] == [file]
    assert words in dataset.rejected[0].reason
    assert dataset.classes == {"dents": 3}


def test_documents_about_the_set_are_passed_over(datasets: Datasets) -> None:
    about = dict.fromkeys(["README.md", "license.txt", "dents/readme.txt"], b"words")
    assert add(datasets, {f"dents/{i}.png": photograph(i) for i in range(3)} | about).rejected == []


def test_equal_photographs_with_other_masks_are_other_content(datasets: Datasets) -> None:
    files = trees.images_and_masks()
    first = add(datasets, files, "first")
    files["masks/0.png"] = trees.mask((1, 1, 2, 2))
    assert add(datasets, files, "second").digest != first.digest


@pytest.mark.parametrize("box", [[5, 5, -3, 4], [-9, -9, 3, 3], [1e308, 1e308, 1e308, 1e308], [5, 5, 0, 0]])
def test_a_box_outside_its_photograph_is_dropped(datasets: Datasets, box: list[float]) -> None:
    content = json.loads(trees.coco()["annotations/instances_train2017.json"])
    content["annotations"][0]["bbox"] = box
    dataset = add(datasets, trees.coco() | {"annotations/instances_train2017.json": json.dumps(content).encode()})
    assert (dataset.image_count, layout(dataset).boxes) == (3, 2)


@pytest.mark.parametrize("name", ["\ud800", "a\u0000b", "", 7, [], None])
def test_a_category_that_cannot_be_a_type_does_no_harm(datasets: Datasets, name: Any) -> None:
    content = json.loads(trees.coco()["annotations/instances_train2017.json"])
    content["categories"][0]["name"] = name
    dataset = add(datasets, trees.coco() | {"annotations/instances_train2017.json": json.dumps(content).encode()})
    assert all(kind.isprintable() and len(kind) <= 64 for kind in dataset.classes)


def test_yaml_that_multiplies_is_no_more_than_its_text(datasets: Datasets) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    bomb = "\n".join([*lines, "names: *a11"]).encode()
    dataset = add(datasets, trees.yolo() | {"data.yaml": bomb})
    assert dataset.classes == {"class 1": 3}
    assert "data.yaml" in {each.file for each in dataset.rejected}


def test_a_mask_of_noise_is_one_defect(datasets: Datasets) -> None:
    files = trees.images_and_masks()
    noise = np.random.default_rng(0).integers(0, 2, (900, 900), np.uint8) * 255
    files |= {"images/0.jpg": photograph(0, side=900, format="JPEG"), "masks/0.png": trees.encoded(noise)}
    assert layout(add(datasets, files)).masks == 3


@pytest.mark.parametrize("value", [1, 5, 20, 255])
def test_masks_may_number_the_types_of_defects(datasets: Datasets, value: int) -> None:
    files = trees.images_and_masks()
    files |= {f"masks/{i}.png": trees.mask(trees.DEFECT, value=value) for i in range(3)}
    files["masks/2.png"] = trees.mask()
    dataset = add(datasets, files)
    assert (layout(dataset).masks, layout(dataset).clean) == (2, 1)
    assert layout(dataset).size_of_defects.median == 4  # type: ignore[union-attr]


def test_boxes_name_types_where_folders_do_not(datasets: Datasets) -> None:
    files = {f"obj_train_data/{i}.png": photograph(i) for i in range(4)}
    files |= {f"obj_train_data/{i}.txt": f"{i % 2} .5 .5 .2 .2".encode() for i in range(4)} | {
        "obj.names": b"pit\ndent"
    }
    assert add(datasets, files).classes == {"dent": 2, "pit": 2}


def test_folders_name_types_where_all_boxes_are_of_one(datasets: Datasets) -> None:
    files = {f"{kind}/{i}.png": photograph(10 * len(kind) + i) for kind in ("dents", "pits") for i in range(2)}
    files |= {path.replace(".png", ".txt"): b"0 .5 .5 .2 .2" for path in list(files)}
    assert add(datasets, files).classes == {"dents": 2, "pits": 2}


def test_a_later_format_of_annotations_is_refused_with_the_reason(datasets: Datasets) -> None:
    dataset = add(datasets, trees.images_and_masks())
    path = datasets.store.path("datasets", dataset.id, "annotations.json")
    datasets.store.write_json(path, {**datasets.store.read_json(path), "format": 2})
    with pytest.raises(LaterFormat, match=r"format 2.*up to 1"):
        datasets.photographs(dataset.id)


@pytest.mark.parametrize(("tree", "masked"), [(trees.images_and_masks, True), (trees.coco, False), (trees.yolo, False)])
def test_datasets_of_releases_without_annotations_have_those_of_their_masks_and_boxes(
    datasets: Datasets, tree: Any, masked: bool
) -> None:
    dataset = add(datasets, tree())
    known = [each.annotations for each in datasets.photographs(dataset.id)]
    datasets.store.path("datasets", dataset.id, "annotations.json").unlink()
    found = [each.annotations for each in datasets.photographs(dataset.id)]
    assert [(each.file, each.size, each.split) for each in found] == [(a.file, a.size, a.split) for a in known]
    assert [each.boxes for each in found] == [[pytest.approx(trees.DEFECT)]] * 3
    assert [each.mask() is not None for each in found] == [masked] * 3
    assert {each.clean for each in found} == {False}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_declares_entities_is_not_read_in_any_encoding(datasets: Datasets, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY a "pit">]><annotation>&a;</annotation>'
    dataset = add(datasets, trees.voc() | {"VOC2007/Annotations/x.xml": text.encode(encoding)})
    assert {each.file: each.reason for each in dataset.rejected}["VOC2007/Annotations/x.xml"] == (
        "XML with a document type is not read"
    )


def test_a_polygon_in_shares_whose_pixels_overflow_is_passed_over(datasets: Datasets) -> None:
    files = {"images/0.png": photograph(1), "images/1.png": photograph(2), "classes.txt": b"scratch"}
    dataset = add(datasets, files | {"labels/0.txt": b"0 .1 .1 1e308 .1 .5 .5", "labels/1.txt": b"0 .5 .5 .2 .2"})
    assert layout(dataset).boxes == 2  # its rectangle is used
    assert any("outlines that are too long" in each.reason for each in dataset.rejected)


def test_a_data_yaml_names_few_places_of_photographs(datasets: Datasets) -> None:
    """Each is looked for among all photographs: thousands of them would keep a process busy for hours."""
    places = [*(f"nowhere/{number}" for number in range(3000)), "images/train"]
    deep = "a/" * 4000 + "images/train"
    content = f"names: [pit, scratch]\ntrain: {deep}\ntest: [{', '.join(places)}]\n".encode()
    dataset = add(datasets, trees.yolo() | {"data.yaml": content})
    assert layout(dataset).splits == {"train": 4, "val": 4}
    assert dataset.classes == {"scratch": 3}


@pytest.mark.parametrize(
    ("mask", "photograph_of_it"),
    [
        ("a_mask", "a"),
        ("a__mask", "a"),
        ("a.b-ground_truth2", "a.b"),
        ("a_mask_mask", "a_mask"),
        ("__mask", "_"),
        ("mask_a", "a"),
        ("gt-a_1", "a_1"),
        ("_mask", None),
        ("mask", None),
        ("a_masked", None),
        ("a" + "_" * 1000 + "x", None),
    ],
)
def test_the_name_of_a_mask_says_of_which_photograph_it_is(mask: str, photograph_of_it: str | None) -> None:
    place = place_of(f"folder/{mask}.png")
    assert (place.has_mask_name, place.stem) == (photograph_of_it is not None, photograph_of_it or mask)


def test_a_label_file_finds_its_photograph_among_many_of_one_name() -> None:
    known = PhotographNames(f"Set/{number}/x.png" for number in range(500))
    assert known.named("7/x.png", "coco.json") == "Set/7/x.png"
    assert known.named("/set\\7\\X.png", "coco.json") == "Set/7/x.png"
    assert known.named("x.png", "coco.json") is None
    assert known.named("/home/me/set/7/x.png", "coco.json") is None


def test_boxes_that_are_far_too_large_together_are_not_cut_out_of_masks(datasets: Datasets) -> None:
    files = {f"images/{number}.png": photograph(number) for number in range(2)}
    files |= {f"masks/{number}.png": trees.mask(trees.DEFECT) for number in range(2)} | {"classes.txt": b"pit"}
    dataset = add(datasets, files | {"labels/0.txt": b"0 .5 .5 1 1\n" * 65, "labels/1.txt": b"0 .5 .5 1 1\n"})
    masks = [[defect.runs for defect in each.annotations.defects] for each in datasets.photographs(dataset.id)]
    assert sorted(len(each) for each in masks) == [1, 65]
    assert {len(each): any(each) for each in masks} == {1: True, 65: False}
    assert {each.file: each.reason for each in dataset.rejected} == {"images/0.png": TOO_MANY_BOXES}
