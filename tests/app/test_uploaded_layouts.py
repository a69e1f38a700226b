"""Data sets in the layouts that people have, uploaded as they are: what is trained on, and what is said of the rest."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped
from tests.core.store import trees

Files = dict[str, bytes]


def upload(api: TestClient, name: str, files: Files) -> dict:
    answer = api.post("/datasets", data={"name": name}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    ("tree", "types", "leaves_out"),
    [
        (trees.mvtec, {"crack": 3, "contamination": 3}, False),
        (trees.kolektor, {"steel": 4}, False),
        (trees.kolektor2, {"steel": 2}, True),  # the other split
        (trees.dagm, {"Class1": 3, "Class2": 3}, True),
        (trees.visa, {"Anomaly": 3}, True),
        (trees.magnetic_tile, {"MT_Blowhole": 3}, False),
        (trees.images_and_masks, {"steel": 3}, False),
        (trees.image_folder, {"dents": 3, "pits": 3}, True),
        (trees.coco, {"scratch": 2, "pit": 1}, True),
        (trees.yolo, {"scratch": 3}, True),
        (trees.voc, {"pit": 3}, True),
        (trees.labelme, {"scratch": 2, "pit": 1}, False),
        (trees.deep_crack, {"DeepCrack": 3}, True),
        (trees.inputs_and_targets, {"steel": 3}, True),
        (trees.casting, {"def_front": 3}, True),
        (trees.aitex, {"Defect_images": 3}, False),
    ],
)
def test_only_photographs_of_defects_are_of_a_type(
    api: TestClient, tmp_path: Path, tree: Callable[[], Files], types: dict[str, int], leaves_out: bool
) -> None:
    dataset = upload(api, "steel", tree())
    assert (dataset["classes"], dataset["image_count"]) == (types, sum(types.values()))
    reasons = [each["reason"] for each in dataset["rejected"]]
    assert (all(reasons), bool(reasons)) == (True, leaves_out)
    for path in (tmp_path / "artifacts" / "datasets" / dataset["id"] / "images").iterdir():
        assert len(np.unique(np.asarray(Image.open(path)))) > 2, "a mask is stored as a photograph"


def test_files_that_nothing_understands_are_listed_with_the_reason(api: TestClient) -> None:
    labels = {f"dents/{number}.json": b"{}" for number in range(40)}
    dataset = upload(api, "steel", labels | {f"dents/{number}.png": photograph(number) for number in range(3)})
    assert {each["file"] for each in dataset["rejected"]} == labels.keys()


@pytest.mark.parametrize("folder", ["ann", "annot", "labels", "SegmentationClass", "gt"])
def test_masks_in_a_folder_beside_the_photographs_are_no_photographs(api: TestClient, folder: str) -> None:
    files = {f"img/{i}.jpg": photograph(i, format="JPEG") for i in range(3)}
    dataset = upload(api, "steel", files | {f"{folder}/{i}.png": trees.mask(trees.DEFECT) for i in range(3)})
    assert (dataset["classes"], dataset["layout"]["masks"]) == ({"steel": 3}, 3)


def test_photographs_in_two_types_at_once_are_warned_of(api: TestClient) -> None:
    files = {f"{kind}/{i}.png": photograph(i) for kind in ("dents", "pits") for i in range(3)}
    dataset = upload(api, "steel", files | {f"pits/{i}.png": photograph(i) for i in range(3, 6)})
    assert dataset["warnings"] == ["3 photographs stand in several types at once: 'dents', 'pits'"]


def test_labelme_files_give_boxes_and_types(api: TestClient) -> None:
    layout = upload(api, "steel", trees.labelme())["layout"]
    assert (layout["kind"], layout["photographs"], layout["boxes"], layout["clean"]) == ("labelme", 3, 4, 0)
    assert layout["size_of_defects"] == {"median": 4.0, "min": 4.0}


@pytest.mark.parametrize(
    "shapes", [b"5", b"[]", b"[5]", b"[{}]", b'[{"points": [], "label": "a"}]', b'[{"points": [[1]]}]']
)
def test_labelme_files_that_are_malformed_are_listed_with_the_reason(api: TestClient, shapes: bytes) -> None:
    files = {f"{i}.png": photograph(i) for i in range(3)}
    dataset = upload(api, "steel", files | {"1.json": b'{"imagePath": "1.png", "shapes": ' + shapes + b"}"})
    [rejected] = dataset["rejected"]
    assert (rejected["file"], dataset["image_count"]) == ("1.json", 3)
    assert "labelme" in rejected["reason"]


@pytest.mark.parametrize("folder", ["images", "Imgs", "train", "JPEGImages", "good", "OK", "pass", "Un-damaged"])
def test_a_word_of_layouts_is_no_type(api: TestClient, folder: str) -> None:
    files = {f"{folder}/{number}.png": photograph(number) for number in range(3)}
    files |= {f"dents/{number}.png": photograph(10 + number) for number in range(3)}
    assert folder not in upload(api, "steel", files)["classes"]
