"""How photographs are cut into squares, and what that loses."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import photograph, zipped
from tests.core.store import trees

from flawsmith.core.domain.crops import WHOLE, Around
from flawsmith.core.domain.records import Dataset
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets
from flawsmith.core.store.datasets.crops import cut, effect, squares


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    return Datasets(ArtifactStore(tmp_path / "store"), Settings())


def add(datasets: Datasets, files: dict[str, bytes]) -> Dataset:
    path = datasets.store.root.parent / "upload"
    path.write_bytes(zipped(files))
    return datasets.add_archive("steel", path)[0]


def long(seed: int, width: int, height: int) -> bytes:
    return trees.encoded(np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8))


@pytest.mark.parametrize("size", [(268, 100), (100, 268), (160, 100), (1000, 90)])
def test_the_grid_covers_a_photograph_with_squares_as_wide_as_its_shorter_side(size: tuple[int, int]) -> None:
    grid = squares(size, Around.GRID)
    covered = np.zeros(size[::-1], bool)
    for x, y, width, height in grid:
        assert width == height == min(size)
        covered[int(y) : int(y + height), int(x) : int(x + width)] = True
    assert covered.all()


def test_the_grid_leaves_out_squares_without_a_labelled_defect() -> None:
    assert squares((300, 100), Around.GRID, [(210, 10, 20, 20)]) == [(200, 0, 100, 100)]
    assert len(squares((300, 100), Around.GRID, [(10, 10, 5, 5), (250, 9, 5, 5)])) == 2
    assert len(squares((200, 100), Around.GRID, [(90, 40, 20, 20)])) == 2  # half of it in each


def test_a_defect_in_a_corner_is_lost_by_the_middle_only() -> None:
    shapes = [((300, 100), [(5.0, 5.0, 10.0, 10.0)])]
    lost = {around: effect(around, shapes).defects_lost for around in WHOLE}
    assert lost == {Around.MIDDLE: 1, Around.PAD: 0, Around.GRID: 0}
    assert effect(Around.MIDDLE, shapes).pixels_lost == pytest.approx(2 / 3, abs=0.001)
    assert effect(Around.MIDDLE, shapes).defect_size == pytest.approx(0.1)
    assert effect(Around.PAD, shapes).defect_size == pytest.approx(10 / 300, abs=1e-5)


def test_padding_keeps_the_whole_photograph_and_mirrors_its_edge() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 100), np.uint8)
    (square,) = cut(Image.fromarray(pixels), Around.PAD)
    padded = np.asarray(square)
    assert padded.shape == (100, 100)
    assert (padded[30:70] == pixels).all()
    assert (padded[29] == pixels[0]).all() and (padded[70] == pixels[-1]).all()


def test_every_crop_leaves_square_photographs_as_they_are(datasets: Datasets) -> None:
    dataset = add(datasets, {f"{i}.png": photograph(i, side=50) for i in range(3)})
    assert dataset.crop is Around.MIDDLE
    pixels = [datasets.load(dataset.id, 32, around).pixels for around in WHOLE]
    assert all(np.array_equal(each, pixels[0]) for each in pixels)


@pytest.mark.parametrize(("width", "default", "images"), [(60, "middle", 3), (61, "grid", 6), (107, "grid", 9)])
def test_the_grid_is_the_default_for_long_photographs(
    datasets: Datasets, width: int, default: str, images: int
) -> None:
    dataset = add(datasets, {f"{i}.png": long(i, width, 40) for i in range(3)})
    assert dataset.crop == default
    assert dataset.crops[dataset.crop].images == images
    loaded = datasets.load(dataset.id, 32, dataset.crop)
    assert len(loaded.pixels) == len(loaded.type_index) == len(loaded.files) == images
    assert set(loaded.files) == {f"{i}.png" for i in range(3)}


def test_the_preview_shows_the_squares_that_are_trained_on(datasets: Datasets) -> None:
    halves = np.zeros((40, 120), np.uint8)
    halves[:, 80:] = 255
    halves[:, 40:80] = 128
    dataset = add(datasets, {"1.png": trees.encoded(halves), "2.png": long(1, 120, 40)})
    with Image.open(datasets.store.path("datasets", dataset.id, "preview.png")) as sheet:
        pixels = np.asarray(sheet)
    for gray in (0, 128, 255):
        assert (pixels[60] == gray).sum() >= 96  # each third fills a square of the sheet
    assert dataset.crops[Around.GRID].images == 6
