"""Uploaded masks whose levels are black and white, numbers of types or defects, a sign to ignore, or colours."""

from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.app.test_uploaded_layouts import upload
from tests.conftest import photograph
from tests.core.store import trees

from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets

SIDE = trees.SIDE
DEFECTS = [(4, 6, 8, 8), (20, 6, 4, 4), (20, 20, 4, 4)]  # x, y, width, height
IGNORED = (30, 30, 6, 6)


def levels(dtype: type, *values: int, ignored: int = 0) -> np.ndarray:
    """A mask (SIDE, SIDE) with a level for each of the first defects, and one for what is to be ignored."""
    pixels = np.zeros((SIDE, SIDE), dtype)
    for (x, y, width, height), value in zip([*DEFECTS[: len(values)], IGNORED], [*values, ignored], strict=True):
        pixels[y : y + height, x : x + width] = value
    return pixels


def colours(*values: tuple[int, int, int]) -> np.ndarray:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    for (x, y, width, height), value in zip(DEFECTS, values, strict=False):
        pixels[y : y + height, x : x + width] = value
    return pixels


@pytest.mark.parametrize(
    ("mask", "defects", "ignores"),
    [
        (levels(np.uint8, 1), 1, False),
        (levels(np.uint8, 255), 1, False),
        (levels(np.uint8, 1, ignored=255), 1, True),
        (levels(np.uint8, 1, 2, 11, ignored=255), 3, True),
        (levels(np.uint8, 1, 2, 3), 3, False),  # instances
        (levels(np.uint8, 85, 170, 255), 3, False),
        (levels(np.uint8, 128, 255), 2, False),
        (levels(np.uint16, 1), 1, False),
        (levels(np.uint16, 65535), 1, False),
        (levels(np.uint16, 1, 2, 3), 3, False),
        (levels(np.uint16, 1, 2, 3, ignored=65535), 3, True),
        (colours((255, 0, 0), (0, 255, 0), (0, 0, 64)), 3, False),
        (colours((0, 0, 64), (255, 255, 255)), 2, False),
    ],
)
def test_what_is_the_defect_is_told_from_what_is_to_be_ignored(
    api: TestClient, tmp_path: Path, mask: np.ndarray, defects: int, ignores: bool
) -> None:
    files = {f"images/{i}.png": photograph(i) for i in range(3)}
    dataset = upload(api, "steel", files | {f"masks/{i}.png": trees.encoded(mask) for i in range(3)})
    assert (dataset["layout"]["masks"], dataset["layout"]["clean"]) == (3, 0)
    assert any("ignore" in note for note in dataset["layout"]["notes"]) is ignores
    shown = np.zeros((SIDE, SIDE), bool)
    for x, y, width, height in DEFECTS[:defects]:
        shown[y : y + height, x : x + width] = True
    stored = Datasets(ArtifactStore(tmp_path / "artifacts"), Settings(data_dir=tmp_path)).load_masks("steel", SIDE)
    for each in stored:
        assert each is not None
        assert np.array_equal(each, shown)


def test_a_photograph_of_which_all_that_is_marked_is_to_be_ignored_is_clean(api: TestClient) -> None:
    files = {f"images/{i}.png": photograph(i) for i in range(4)}
    files |= {f"masks/{i}.png": trees.encoded(levels(np.uint8, 1, ignored=255)) for i in range(3)}
    layout = upload(api, "steel", files | {"masks/3.png": trees.encoded(levels(np.uint8, ignored=255))})["layout"]
    assert (layout["photographs"], layout["masks"], layout["clean"]) == (3, 3, 1)
    assert layout["size_of_defects"] == {"median": 8.0, "min": 8.0}


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_levels_beside_black_that_a_lossy_file_has_by_accident_are_no_numbers(api: TestClient, suffix: str) -> None:
    """Some such masks have few levels, all near to black, beside white; of a set, not all have."""
    noisy, edged = levels(np.uint8, 255), levels(np.uint8, 255)
    noisy[0, ::3], edged[:, 3] = 2, 130
    names = ("0.png", "1.png", f"2.{suffix}")
    files = {f"images/{name}": photograph(i) for i, name in enumerate(("0.png", "1.png", "2.png"))}
    masks = (noisy, noisy, edged if suffix == "png" else levels(np.uint8, 255))
    formats = {"jpg": "JPEG", "png": "PNG"}
    files |= {f"masks/{name}": trees.encoded(mask, formats[name[-3:]]) for name, mask in zip(names, masks, strict=True)}
    layout = upload(api, "steel", files)["layout"]
    assert (layout["masks"], layout["clean"], layout["notes"]) == (3, 0, [])
