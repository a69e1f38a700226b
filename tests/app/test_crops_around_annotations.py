"""Training jobs cut squares around annotated defects, at the photographs' own scale."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from starlette.testclient import TestClient
from tests.app.test_uploaded_layouts import Files, upload
from tests.conftest import SMALL_JOB
from tests.core.store import trees

from flawsmith.core.domain.crops import Around, Crop, crop_of
from flawsmith.core.services import Services

WIDTH, HEIGHT = 400, 300
SCRATCH, PIT, STREAK = (300, 40, 20, 4), (10, 250, 6, 6), (50, 100, 250, 8)  # x, y, width, height


def surface(seed: int, *defects: tuple[int, int, int, int]) -> bytes:
    """A dark photograph of noise, its defects bright."""
    pixels = np.random.default_rng(seed).integers(0, 100, (HEIGHT, WIDTH), np.uint8)
    for x, y, width, height in defects:
        pixels[y : y + height, x : x + width] = 255
    return trees.encoded(pixels)


def corners(x: int, y: int, width: int, height: int) -> list[int]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def annotated(count: int = 4, defects: Any = (("scratch", SCRATCH), ("pit", PIT))) -> Files:
    """COCO with boxes and masks on large photographs, and photographs without a defect."""
    names = [f"{i}.png" for i in range(count)]
    found = [
        {
            "image_id": i,
            "category_id": 1 + (name == "pit"),
            "bbox": list(box),
            "segmentation": [corners(*box)],
        }
        for i in range(count)
        for name, box in defects
    ]
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "scratch"}, {"id": 2, "name": "pit"}],
        "annotations": found,
    }
    files = {f"images/{name}": surface(i, *(box for _, box in defects)) for i, name in enumerate(names)}
    files |= {f"good/{i}.png": surface(100 + i) for i in range(2)}
    return files | {"coco.json": json.dumps(content).encode()}


def job(api: TestClient, dry_run: bool = True, **body: Any) -> Any:
    params = {"dry_run": "true"} if dry_run else {}
    return api.post("/training-jobs", params=params, json={"dataset": "steel", "model": "m", **SMALL_JOB, **body})


def test_a_job_cuts_around_annotations_at_native_scale_by_default(api: TestClient, services: Services) -> None:
    dataset = upload(api, "steel", annotated())
    assert (dataset["crop"], dataset["defects"]) == ("annotations", {"pit": 4, "scratch": 4})
    answer = job(api).json()
    config = answer["config"]
    assert config["crop"] == {"around": "annotations", "native": True, "context": 1.5, "overlap": 0.25}
    assert (config["classes"], config["scale"]) == (["pit", "scratch"], 1.0)
    squares = services.datasets.load("steel", 32, crop_of(config))
    assert config["steps_per_epoch"] == -(-len(squares.pixels) // 4)
    assert squares.classes == ["pit", "scratch"]
    assert min(np.bincount(squares.type_index)) >= 4 * 5  # several views of each
    masks = services.datasets.load_masks("steel", 32, crop_of(config))
    area = {"scratch": 80, "pit": 36}
    for pixels, kind, mask in zip(squares.pixels, squares.type_index, masks, strict=True):
        assert mask is not None and int(mask.sum()) == area[squares.classes[kind]]  # the whole defect, unscaled
        assert np.array_equal(pixels[..., 0] == 255, mask)


def test_views_of_a_defect_differ_and_are_the_same_every_time(api: TestClient, services: Services) -> None:
    upload(api, "steel", annotated())
    first, second = (services.datasets.load("steel", 32, Around.ANNOTATIONS) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert len(np.unique(first.pixels.reshape(len(first.pixels), -1), axis=0)) == len(first.pixels)
    assert set(first.photograph.tolist()) == {0, 1, 2, 3}


def test_a_defect_larger_than_a_square_is_tiled(api: TestClient, services: Services) -> None:
    upload(api, "steel", annotated(defects=(("scratch", STREAK),)))
    crop = Crop(around=Around.ANNOTATIONS)
    masks = services.datasets.load_masks("steel", 32, crop)
    squares = services.datasets.load("steel", 32, crop)
    assert all(mask is not None and mask.any() for mask in masks)
    per_photograph = np.bincount(squares.photograph)
    assert set(per_photograph.tolist()) == {11}  # ceil((250 - 32) / 24) + 1: all 250 pixels, a quarter shared


def test_squares_that_are_not_native_show_each_defect_with_its_context(api: TestClient, services: Services) -> None:
    upload(api, "steel", annotated())
    answer = job(api, crop={"around": "annotations", "native": False, "context": 2}).json()
    assert answer["config"]["scale"] == pytest.approx((40 / 32 + 12 / 32) / 2, abs=0.5)
    masks = services.datasets.load_masks("steel", 32, crop_of(answer["config"]))
    for mask in masks:
        assert mask is not None
        columns = np.flatnonzero(mask.any(axis=0))
        assert 12 <= columns[-1] - columns[0] + 1 <= 20  # half of the square, whatever the size of the defect


@pytest.mark.parametrize("folder", ["good", "images"])
def test_clean_squares_have_the_same_scale_and_show_no_defect(api: TestClient, services: Services, folder: str) -> None:
    upload(api, "steel", {path: data for path, data in annotated().items() if folder == "good" or "good" not in path})
    clean = services.datasets.load_clean("steel", 32, Around.ANNOTATIONS)
    assert clean.pixels.shape[1:] == (32, 32, 1)
    assert clean.pixels.max() < 255  # not a pixel of a defect, and nothing was scaled
    assert {Path(name).parent.name for name in clean.files} == {folder}


def test_large_photographs_without_annotations_are_cut_in_a_native_grid(api: TestClient, services: Services) -> None:
    dataset = upload(api, "steel", {f"dents/{i}.png": surface(i) for i in range(3)})
    assert dataset["crop"] == "middle"
    config = job(api).json()["config"]
    assert config["crop"] == {"around": "grid", "native": True, "overlap": 0.25}
    assert config["scale"] == 1.0
    squares = services.datasets.load("steel", 32, crop_of(config))
    assert config["steps_per_epoch"] == -(-len(squares.pixels) // 4)
    assert job(api, resolution=128).json()["config"]["crop"] == {"around": "middle"}


@pytest.mark.parametrize(
    ("crop", "pointer"),
    [
        ({"around": "annotations"}, "/crop/around"),
        ({"around": "middle", "native": True}, "/crop"),
        ({"around": "grid", "context": 2}, "/crop"),
        ({"around": "grid", "overlap": 0.5}, "/crop"),
        ({"around": "grid", "native": True, "overlap": 1}, "/crop/overlap"),
    ],
)
def test_a_crop_that_does_not_fit_is_refused(api: TestClient, crop: Any, pointer: str) -> None:
    upload(api, "steel", {f"dents/{i}.png": surface(i) for i in range(3)})
    answer = job(api, crop=crop)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_the_preview_outlines_the_defects_of_the_squares(api: TestClient) -> None:
    upload(api, "steel", annotated())
    sheet = np.asarray(Image.open(io.BytesIO(api.get("/datasets/steel/preview.png").content)))
    red = (sheet[..., 0].astype(int) - sheet[..., 2] > 100).sum(axis=(0, 1)) if sheet.ndim == 3 else 0
    assert red > 100


def test_small_photographs_without_annotations_are_cut_as_before(api: TestClient, services: Services) -> None:
    pixels = [np.random.default_rng(i).integers(0, 256, (100, 128), np.uint8) for i in range(3)]
    upload(api, "steel", {f"dents/{i}.png": trees.encoded(each) for i, each in enumerate(pixels)})
    config = job(api).json()["config"]
    assert config["crop"] == {"around": "middle"}
    squares = services.datasets.load("steel", 32, crop_of(config))
    before = [np.asarray(ImageOps.fit(Image.fromarray(each), (32, 32), Image.Resampling.LANCZOS)) for each in pixels]
    assert {each.tobytes() for each in squares.pixels[..., 0]} == {each.tobytes() for each in before}


def unannotated(folder: str) -> Files:
    return {f"{folder}/{i}.png": surface(50 + i) for i in range(3)}


def test_photographs_without_annotations_are_left_out_with_a_warning(api: TestClient) -> None:
    masks = {f"masks/{i}.png": trees.encoded(np.full((HEIGHT, WIDTH), 255, np.uint8)) for i in range(1)}
    files = {f"images/{i}.png": surface(i) for i in range(4)} | masks
    assert upload(api, "steel", files)["crop"] == "annotations"
    reasons = job(api).json()["health"]["reasons"]
    assert any("3 photographs without annotations are not trained on" in each for each in reasons)


def test_the_default_leaves_no_type_out(api: TestClient) -> None:
    files = {f"dents/images/{i}.png": surface(i) for i in range(3)} | unannotated("pits")
    files |= {f"dents/masks/{i}.png": trees.encoded(np.full((HEIGHT, WIDTH), 255, np.uint8)) for i in range(3)}
    dataset = upload(api, "steel", files)
    assert (dataset["classes"], dataset["defects"]) == ({"dents": 3, "pits": 3}, {"dents": 3})
    config = job(api).json()["config"]
    assert (config["crop"]["around"], config["classes"]) == ("grid", ["dents", "pits"])
    asked = job(api, crop={"around": "annotations"}).json()["config"]
    assert asked["classes"] == ["dents"]
