"""Labelled defects of an upload: understood, said, and stored with the photographs."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from starlette.testclient import TestClient
from tests.app.test_uploaded_layouts import Files, upload
from tests.conftest import photograph, zipped
from tests.core.store import trees
from tests.core.store.trees import DEFECT, SIDE, SQUARE

from flawsmith.core.services import Services
from flawsmith.core.store.datasets import Annotations


def refused(api: TestClient, files: Files, **fields: str) -> dict[str, Any]:
    answer = api.post("/datasets", data={"name": "steel", **fields}, files={"archive": zipped(files)})
    assert answer.status_code == 422, answer.text
    return dict(answer.json())


def uploaded(api: TestClient, files: Files, name: str = "steel", **fields: str) -> dict[str, Any]:
    answer = api.post("/datasets", data={"name": name, **fields}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def annotations(services: Services) -> dict[str, Annotations]:
    """Those of the dataset `steel`, by the file's name without its suffix."""
    return {Path(each.file).stem: each.annotations for each in services.datasets.photographs("steel")}


def pixels_of(data: bytes | Path) -> bytes:
    """The pixels of a picture as the store keeps it."""
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return image.convert("L").tobytes()


WITH_OUTLINES = [
    (trees.coco_segmented, "coco", {"train": 3, "val": 3}, 3, {"scratch": 3}),
    (trees.yolo_segmented, "yolo", {"train": 3, "val": 3}, 3, {"scratch": 3}),
    (trees.voc_segmented, "voc", {"train": 3, "val": 1}, 6, {"pit": 2, "scratch": 4}),
]


@pytest.mark.parametrize(("tree", "kind", "splits", "masks", "defects"), WITH_OUTLINES)
def test_outlines_become_masks(
    api: TestClient, services: Services, tree: Any, kind: str, splits: Any, masks: int, defects: dict[str, int]
) -> None:
    dataset = upload(api, "steel", tree())
    layout = dataset["layout"]
    assert (layout["kind"], layout["splits"], layout["masks"]) == (kind, splits, masks)
    assert (layout["photographs"], layout["clean"], dataset["defects"]) == (3, 0, defects)
    for each in annotations(services).values():
        squares = [defect for defect in each.defects if defect.box == SQUARE]
        assert len(squares) == 1
        mask = squares[0].mask()
        assert mask is not None and mask.shape == (6, 6) and mask.all()
        assert (each.size, each.split, each.clean) == ((SIDE, SIDE), "train", False)
    marked = [each for each in services.datasets.load_masks("steel", SIDE) if each is not None]
    assert len(marked) == 3 and all(each[20:26, 20:26].all() for each in marked)


HELD_BACK: list[tuple[Callable[[], Files], list[str]]] = [
    (trees.kolektor2, ["test/"]),
    (trees.dagm, ["/Test/"]),
    (trees.image_folder, ["/val/", "/test/"]),
    (trees.coco, ["val2017/"]),
    (trees.yolo, ["val/images"]),
    (trees.voc, ["JPEGImages/3", "JPEGImages/4"]),
    (trees.deep_crack, ["test_"]),
    (trees.casting, ["/test/"]),
    (trees.coco_segmented, ["images/val"]),
    (trees.yolo_segmented, ["images/line_2"]),
    (trees.voc_segmented, ["JPEGImages/3"]),
]


@pytest.mark.parametrize(("tree", "held_back"), HELD_BACK)
def test_no_photograph_of_another_split_is_trained_on(
    api: TestClient, services: Services, tree: Callable[[], Files], held_back: list[str]
) -> None:
    files = tree()
    forbidden = [path for path in files if any(part in path for part in held_back) and "abel" not in path]
    pictures = {pixels_of(files[path]) for path in forbidden}
    assert len(pictures) >= 1
    dataset = upload(api, "steel", files)
    stored = services.datasets.photographs(dataset["id"]) + services.datasets.clean_photographs(dataset["id"])
    assert not pictures & {pixels_of(each.path) for each in stored}


ALL_TREES = [trees.mvtec, trees.kolektor, trees.visa, trees.magnetic_tile, trees.images_and_masks, trees.aitex]


@pytest.mark.parametrize("tree", ALL_TREES)
def test_masks_are_annotations_of_photographs_at_their_own_size(
    api: TestClient, services: Services, tree: Callable[[], Files]
) -> None:
    dataset = upload(api, "steel", tree())
    found = [each.annotations for each in services.datasets.photographs("steel")]
    clean = [each.annotations for each in services.datasets.clean_photographs("steel")]
    assert len(found) == dataset["layout"]["masks"] == sum(dataset["defects"].values())
    for each in found:
        (defect,) = each.defects
        mask = each.mask()
        assert mask is not None
        assert (defect.box, int(mask.sum()), each.size) == (DEFECT, 16, (SIDE, SIDE))
    assert [(each.clean, each.defects) for each in clean] == [(True, ())] * dataset["layout"]["clean"]


def test_an_outline_marks_the_pixels_that_pycocotools_marks(api: TestClient, services: Services) -> None:
    star = [20.5, 2.2, 24.1, 14.9, 38.0, 15.5, 27.3, 23.0, 30.9, 37.7, 20.1, 28.4, 8.0, 37.0, 13.2, 23.1, 1.5, 15.0]
    files = trees.coco_segmented()
    content = json.loads(files["annotations/instances_train.json"])
    content["annotations"][0]["segmentation"] = [star, trees.square_corners()]
    upload(api, "steel", files | {"annotations/instances_train.json": json.dumps(content).encode()})
    polygons = [star, trees.square_corners()]
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, SIDE, SIDE)))
    mask = annotations(services)["train_0"].mask()
    assert mask is not None and np.array_equal(mask, expected.astype(bool))


def test_boxes_take_the_part_of_a_mask_that_is_theirs(api: TestClient, services: Services) -> None:
    """Pascal VOC with boxes and masks of instances: the defect beyond all boxes stays one as well."""
    files = {path: data for path, data in trees.voc_segmented().items() if "labelmap" not in path}
    x, y, width, height = SQUARE
    box = f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + width}</xmax><ymax>{y + height}</ymax>"
    label = f"<annotation><object><name>pit</name><bndbox>{box}</bndbox></object></annotation>".encode()
    dataset = upload(api, "steel", files | {f"Annotations/{i}.xml": label for i in range(4)})
    assert (dataset["classes"], dataset["layout"]["boxes"]) == ({"pit": 3}, 3)
    for each in annotations(services).values():
        assert sorted(defect.box for defect in each.defects) == [DEFECT, SQUARE]
        assert all(defect.mask() is not None for defect in each.defects)


@pytest.mark.parametrize("many", [3, 60])
def test_instances_that_touch_are_defects_of_their_own(api: TestClient, services: Services, many: int) -> None:
    numbers = np.zeros((SIDE, SIDE), np.uint8)
    for number in range(many):
        x, y = number % 10 * 3, number // 10 * 3
        numbers[y : y + 3, x : x + 3] = number + 1
    files = {f"images/{i}.png": photograph(i) for i in range(3)}
    dataset = upload(api, "steel", files | {f"masks/{i}.png": trees.encoded(numbers) for i in range(3)})
    assert dataset["defects"] == {"steel": 3 * many}
    assert all(defect.box[2:] == (3, 3) for each in annotations(services).values() for defect in each.defects)


def test_a_soft_edge_is_no_defect_of_its_own(api: TestClient, services: Services) -> None:
    soft = Image.open(io.BytesIO(trees.mask((4, 4, 6, 6), side=20))).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    files = {f"images/{i}.png": photograph(i) for i in range(3)}
    files |= {f"masks/{i}.png": trees.encoded(np.asarray(soft)) for i in range(3)}
    assert upload(api, "steel", files)["defects"] == {"steel": 3}


def test_boxes_beyond_the_photograph_and_what_is_malformed_are_named_and_the_rest_is_used(
    api: TestClient, services: Services
) -> None:
    files = trees.coco_segmented()
    content = json.loads(files["annotations/instances_train.json"])
    outside = {"image_id": 0, "category_id": 1, "bbox": [50, 50, 4, 4]}
    runs = {"size": [9, 9], "counts": [40, 41]}
    wrong: list[dict[str, Any]] = [
        outside,
        outside | {"bbox": ["a", 1, 2, 3]},
        outside | {"bbox": [1, 1, 4, 4], "segmentation": runs},
        outside | {"bbox": [2, 2, 4, 4], "segmentation": {"size": [SIDE, SIDE], "counts": [5, 5000]}},
        outside | {"bbox": [3, 3, 4, 4], "segmentation": [[1, 2, 3, 4]]},
        outside | {"bbox": [4, 4, 4, 4], "segmentation": [[1e9, 0, -1e9, 1e9, 5, 5]]},
        outside | {"bbox": [SIDE - 3, 2, 9, 4]},
        outside | {"bbox": [SIDE - 4, 8, 4.6, 4]},  # somebody rounded
    ]
    content["annotations"] += wrong
    content["images"].append({"id": 9, "file_name": "lost.png"})
    dataset = upload(api, "steel", files | {"annotations/instances_train.json": json.dumps(content).encode()})
    reasons = [each["reason"] for each in dataset["rejected"] if each["file"] == "annotations/instances_train.json"]
    for words in (
        "1 boxes outside",
        "1 parts of boxes that reach beyond their photographs",
        "1 annotations without a readable box",
        "another size",
        "malformed run lengths",
        "fewer than three points",
        "too long",
        "1 photographs that are not in the upload, of lost.png",
    ):
        assert any(words in each for each in reasons), (words, reasons)
    assert all("train_0.png" in each for each in reasons if "lost.png" not in each)
    assert dataset["image_count"] == 3
    assert len(annotations(services)["train_0"].defects) == 7  # boxes stay where only the outline is wrong


def test_labels_of_a_photograph_of_another_size_are_named_and_it_is_not_clean(api: TestClient) -> None:
    files = trees.coco_segmented()
    content = json.loads(files["annotations/instances_train.json"])
    content["images"][1] |= {"width": 80, "height": 80}
    dataset = upload(api, "steel", files | {"annotations/instances_train.json": json.dumps(content).encode()})
    assert (dataset["image_count"], dataset["layout"]["clean"], dataset["layout"]["boxes"]) == (3, 0, 2)
    assert any("another size, of images/train_1.png" in each["reason"] for each in dataset["rejected"])


def test_photographs_with_an_empty_mask_are_clean_and_that_is_said(api: TestClient) -> None:
    layout = upload(api, "steel", trees.images_and_masks() | {"masks/1.png": trees.mask()})["layout"]
    assert (layout["photographs"], layout["clean"]) == (2, 1)
    assert any("mark nothing" in note and "images/1.jpg" in note for note in layout["notes"])


def unnamed_masks() -> Files:
    """Masks in a folder whose name says nothing."""
    files = {f"imgs/{i}.jpg": photograph(i, format="JPEG") for i in range(3)}
    return files | {f"output/{i}.png": trees.mask(DEFECT) for i in range(3)}


def test_pictures_that_may_be_masks_are_asked_about(api: TestClient, services: Services) -> None:
    problem = refused(api, unnamed_masks())
    assert problem["errors"][0]["pointer"] == "/layout"
    assert [(each["layout"], each["photographs"], each["masks"]) for each in problem["candidates"]] == [
        ("pairs", 3, 3),
        ("imagefolder", 6, 0),
    ]
    assert "'output'" in problem["detail"] and "layout=pairs" in problem["detail"]
    assert services.datasets.list() == []
    as_pairs = uploaded(api, unnamed_masks(), layout="pairs")
    assert (as_pairs["classes"], as_pairs["layout"]["masks"]) == ({"steel": 3}, 3)
    as_folders = uploaded(api, unnamed_masks(), layout="imagefolder", name="folders")
    assert as_folders["image_count"] == 6


def test_labels_of_two_formats_are_asked_about(api: TestClient) -> None:
    line = b"0 .5 .5 .1 .1\n0 .2 .2 .1 .1"
    files = trees.coco_segmented() | {f"images/{split}_{i}.txt": line for split in ("train", "val") for i in range(3)}
    problem = refused(api, files)
    assert [(each["layout"], each["boxes"]) for each in problem["candidates"]] == [("coco", 6), ("yolo", 12)]
    dataset = uploaded(api, files, layout="yolo")
    assert (dataset["layout"]["kind"], dataset["layout"]["boxes"], dataset["classes"]) == ("yolo", 12, {"class 0": 6})
    assert "annotations/instances_train.json" in {each["file"] for each in dataset["rejected"]}


@pytest.mark.parametrize(
    ("class_from", "classes"),
    [
        ("folder", {"dents": 3, "pits": 3}),
        ("parent", {"left": 6}),
        ("label", {"class 0": 3, "class 1": 3}),
        ("dataset", {"steel": 6}),
    ],
)
def test_the_caller_says_what_names_the_types(api: TestClient, class_from: str, classes: dict[str, int]) -> None:
    files: Files = {}
    for i in range(6):
        folder = f"left/{'dents' if i < 3 else 'pits'}"
        files |= {f"{folder}/{i}.png": photograph(i), f"{folder}/{i}.txt": f"{i % 2} .5 .5 .2 .2".encode()}
    assert uploaded(api, files, class_from=class_from)["classes"] == classes


def test_colours_of_masks_name_types_where_the_caller_says_so(api: TestClient, services: Services) -> None:
    files = {f"images/{i}.png": photograph(i) for i in range(4)}
    files |= {f"masks/{i}.png": trees.mask(DEFECT, value=1 + i % 2) for i in range(4)}
    assert uploaded(api, files, class_from="mask")["classes"] == {"#010101": 2, "#020202": 2}


@pytest.mark.parametrize(
    ("clean", "classes", "count"),
    [("fine, dull", {"dents": 2, "good": 2}, 4), ("none", {"dents": 2, "dull": 2, "fine": 2, "good": 2}, 0)],
)
def test_the_caller_says_which_folders_are_clean(
    api: TestClient, clean: str, classes: dict[str, int], count: int
) -> None:
    folders = ("dents", "good", "fine", "dull")
    files = {f"{name}/{i}.png": photograph(10 * k + i) for k, name in enumerate(folders) for i in range(2)}
    dataset = uploaded(api, files, clean=clean)
    assert (dataset["classes"], dataset["layout"]["clean"]) == (classes, count)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"layout": "cocoa"}, "choose one of: imagefolder"),
        ({"layout": "coco"}, "no file of the upload has labels as in 'coco'; there are: yolo"),
        ({"layout": "pairs"}, "no picture of the upload is a mask"),
        ({"class_from": "colour"}, "choose one of: folder"),
        ({"class_from": "mask"}, "possible: folder, parent, label, dataset"),
        ({"clean": "spotless"}, "no photograph is in a folder 'spotless'; folders: left, pits"),
    ],
)
def test_what_the_upload_is_not_is_refused_with_what_it_is(api: TestClient, fields: dict[str, str], words: str) -> None:
    files = {f"left/pits/{i}.png": photograph(i) for i in range(3)} | {"left/pits/0.txt": b"0 .5 .5 .2 .2"}
    problem = refused(api, files, **fields)
    assert words in problem["detail"]
    assert problem["errors"][0]["pointer"] == f"/{next(iter(fields))}"


def test_lists_of_names_beside_the_folders_say_the_split(api: TestClient, services: Services) -> None:
    files = {f"data/{i}.png": photograph(i) for i in range(4)} | {f"data/{i}.txt": b"0 .5 .5 .2 .2" for i in range(4)}
    files |= {"train.txt": b"data/0.png\ndata/1.png\n", "valid.txt": b"data/2.png\ndata/3.png\n"}
    dataset = upload(api, "steel", files)
    assert dataset["layout"]["splits"] == {"train": 2, "val": 2}
    assert set(annotations(services)) == {"0", "1"}


def test_outlines_beyond_what_can_be_drawn_keep_their_boxes(api: TestClient, services: Services) -> None:
    files = trees.coco_segmented()
    content = json.loads(files["annotations/instances_train.json"])
    whole = [[0, 0, SIDE, 0, SIDE, SIDE, 0, SIDE]]
    content["annotations"] += [
        {"image_id": 0, "category_id": 1, "bbox": [0, 0, SIDE - i / 4, SIDE], "segmentation": whole} for i in range(80)
    ]
    dataset = upload(api, "steel", files | {"annotations/instances_train.json": json.dumps(content).encode()})
    assert any("larger ones than can be drawn" in each["reason"] for each in dataset["rejected"])
    defects = annotations(services)["train_0"].defects
    assert len(defects) == 81
    assert 60 <= sum(each.mask() is not None for each in defects) < 81
