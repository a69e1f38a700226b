"""Masks that labelme keeps in its JSON, and images that say that they are synthetic."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient
from tests.conftest import photograph, zipped
from tests.core.store import trees

from flawsmith.core.services import Services
from flawsmith.core.store.images import encode, encode_png

CROSS = np.array([[0, 1, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]], np.uint8)


def shape(pixels: np.ndarray, x: int, y: int, **changes: Any) -> dict[str, Any]:
    """As labelme writes a mask: 0 and 1, the corners being the first and the last pixel inside."""
    height, width = pixels.shape
    png = base64.b64encode(trees.encoded(pixels)).decode()
    corners = [[x, y], [x + width - 1, y + height - 1]]
    return {"label": "pit", "points": corners, "shape_type": "mask", "mask": png, **changes}


def labelled(*shapes: dict[str, Any]) -> dict[str, bytes]:
    """Two photographs; the second has a mask in any case, the first these shapes."""
    files = {f"parts/{i}.png": photograph(i) for i in range(2)}
    for i, each in enumerate((list(shapes), [shape(CROSS, 3, 4)])):
        content = {"version": "5.4", "shapes": each, "imagePath": f"{i}.png", "imageWidth": 40, "imageHeight": 40}
        files[f"parts/{i}.json"] = json.dumps(content).encode()
    return files


def upload(api: TestClient, files: dict[str, bytes]) -> dict[str, Any]:
    answer = api.post("/datasets", data={"name": "steel"}, files={"archive": zipped(files)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_mask_is_used_and_not_its_box_alone(api: TestClient, services: Services) -> None:
    dataset = upload(api, labelled(shape(CROSS, 10, 20), shape(np.ones((5, 2), np.uint8), 30, 30)))
    assert (dataset["layout"]["kind"], dataset["layout"]["masks"], dataset["defects"]) == ("labelme", 2, {"pit": 3})
    first = next(each for each in services.datasets.photographs("steel") if each.file == "parts/0.png").annotations
    assert first.boxes == [(10, 20, 4, 3), (30, 30, 2, 5)]
    expected = np.zeros((40, 40), bool)
    expected[20:23, 10:14] = CROSS
    expected[30:35, 30:32] = True
    assert np.array_equal(first.mask(), expected)


def test_a_mask_that_reaches_beyond_its_photograph_is_cut_off(api: TestClient, services: Services) -> None:
    upload(api, labelled(shape(np.ones((6, 6), np.uint8), 37, -2)))
    first = next(each for each in services.datasets.photographs("steel") if each.file == "parts/0.png").annotations
    assert first.boxes == [(37, 0, 3, 4)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mask": "%%%"}, "lacks a field"),
        ({"mask": 7}, "lacks a field"),
        ({"mask": base64.b64encode(b"no picture").decode()}, "cannot be decoded"),
        ({"mask": base64.b64encode(trees.encoded(np.zeros((3, 4), np.uint8))).decode()}, "without a pixel"),
    ],
)
def test_a_mask_that_cannot_be_used_is_named_and_ends_nothing(
    api: TestClient, services: Services, changes: dict[str, Any], said: str
) -> None:
    dataset = upload(api, labelled(shape(CROSS, 10, 20, **changes)))
    assert any(each["file"] == "parts/0.json" and said in each["reason"] for each in dataset["rejected"])
    assert dataset["image_count"] == 2


def marked(number: int, kind: str) -> bytes:
    picture = Image.open(io.BytesIO(photograph(number)))
    if kind == "text":
        return encode_png(picture, {"Synthetic": "true"})
    if kind == "international text":
        buffer, info = io.BytesIO(), PngInfo()
        info.add_itxt("Synthetic", "true")
        picture.save(buffer, "PNG", pnginfo=info)
        return buffer.getvalue()
    if kind == "XMP":
        return encode_png(picture, source_type="trainedAlgorithmicMedia")
    if kind == "capture":
        return encode_png(picture, source_type="compositeCapture")
    return encode(picture, kind, "Synthetic: true; Flawsmith steel@1; pits; seed 3")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["text", "international text", "XMP", "jpeg", "webp"])
def test_synthetic_images_among_photographs_are_counted_in_a_warning(api: TestClient, kind: str) -> None:
    files = {f"pits/{i}.png": photograph(i) for i in range(3)} | {
        f"pits/made-{i}.png": marked(10 + i, kind) for i in range(2)
    }
    dataset = upload(api, files)
    assert dataset["image_count"] == 5
    assert next(each for each in dataset["warnings"] if "synthetic" in each).startswith(
        "2 of 5 images say of themselves that they are synthetic, such as 'pits/made-0.png'"
    )
    job = api.post("/training-jobs?dry_run=true", json={"dataset": "steel", "model": "m"})
    assert any("synthetic" in each for each in job.json()["health"]["reasons"])
    more = {"archive": zipped({"pits/9.png": photograph(99), "pits/made-9.png": marked(98, kind)})}
    child = api.post("/datasets/steel/photographs", files=more).json()
    assert any(each.startswith("3 of 7 images say") for each in child["warnings"])


def test_photographs_of_cameras_are_not_taken_for_synthetic(api: TestClient) -> None:
    dataset = upload(api, {"pits/0.png": photograph(0), "pits/1.png": marked(1, "capture")})
    assert not any("synthetic" in each for each in dataset["warnings"])
