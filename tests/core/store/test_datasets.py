"""Uploads become published datasets."""

import errno
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import photograph, zipped

from flawsmith.core.domain.records import Dataset
from flawsmith.core.settings import Settings
from flawsmith.core.store.archives import BrokenArchive
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets, NameTaken, TooFewImages, UnknownDataset, UploadOptions


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    return Datasets(ArtifactStore(tmp_path / "store"), Settings())


def archive(tmp_path: Path, files: dict[str, bytes]) -> Path:
    path = tmp_path / "upload"
    path.write_bytes(zipped(files))
    return path


def on_disk(datasets: Datasets) -> list[Path]:
    return [path for path in datasets.store.root.rglob("*") if path.is_file() and path.name != ".lock"]


def test_a_folder_names_the_defect_type_and_the_dataset_names_that_of_top_level_files(
    datasets: Datasets, tmp_path: Path
) -> None:
    files = {"set/train/dents/1.png": photograph(1), "set/test/dents/2.png": photograph(2), "top.png": photograph(3)}
    dataset, created = datasets.add_archive("steel", archive(tmp_path, files))
    assert created
    assert dataset.classes == {"dents": 1, "steel": 1}
    assert (dataset.image_count, dataset.mode, dataset.size.min) == (2, "L", (40, 40))
    assert [each.file for each in dataset.rejected] == ["set/test/dents/2.png"]


def test_the_same_content_under_other_file_names_is_the_same_dataset(datasets: Datasets, tmp_path: Path) -> None:
    one, two = photograph(1), photograph(2)
    first, _ = datasets.add_archive("a", archive(tmp_path, {"t/1.png": one, "t/2.png": two}))
    second, created = datasets.add_archive("a", archive(tmp_path, {"t/x.png": two, "t/y.png": one}))
    assert (second, created) == (first, False)
    assert datasets.get("a") == datasets.get(first.id) == first
    assert len(datasets.list()) == 1


def test_the_same_content_under_another_name_is_a_dataset_of_its_own_that_is_stored_once(
    datasets: Datasets, tmp_path: Path
) -> None:
    upload = archive(tmp_path, {"t/1.png": photograph(1), "t/2.png": photograph(2)})
    first, _ = datasets.add_archive("a", upload)
    second, created = datasets.add_archive("b", upload)
    assert created and second.id != first.id and second.digest == first.digest
    assert (datasets.get("a").name, datasets.get("b").name) == ("a", "b")
    files = [path.stat().st_ino for path in on_disk(datasets) if path.parent.name == "images"]
    assert (len(files), len(set(files))) == (4, 2)
    datasets.delete(first.id)
    loaded = datasets.load("b", 32)
    assert (len(loaded.pixels), loaded.classes) == (2, ["t"])
    with pytest.raises(UnknownDataset):
        datasets.get("a")


def test_a_name_is_given_to_other_content_only_when_that_is_asked_for(datasets: Datasets, tmp_path: Path) -> None:
    first, _ = datasets.add_archive("a", archive(tmp_path, {"t/1.png": photograph(1), "t/2.png": photograph(2)}))
    other = archive(tmp_path, {"u/3.png": photograph(3), "u/4.png": photograph(4), "u/5.png": photograph(5)})
    with pytest.raises(NameTaken, match=f"{first.id} with 2 other photographs .*'t'.*replace=true"):
        datasets.add_archive("a", other)
    assert datasets.get("a") == first
    asked: list[str] = []
    second, created = datasets.add_archive("a", other, UploadOptions(replace=lambda dataset: asked.append(dataset.id)))
    assert created and asked == [first.id]
    assert datasets.list() == [datasets.get("a")] == [second]


def test_what_is_asked_before_a_replacement_can_keep_the_dataset(datasets: Datasets, tmp_path: Path) -> None:
    def keep(dataset: Dataset) -> None:
        raise RuntimeError(dataset.name)

    first, _ = datasets.add_archive("a", archive(tmp_path, {"t/1.png": photograph(1), "t/2.png": photograph(2)}))
    with pytest.raises(RuntimeError):
        datasets.add_archive(
            "a", archive(tmp_path, {"t/1.png": photograph(1), "t/2.png": photograph(3)}), UploadOptions(replace=keep)
        )
    assert datasets.list() == [datasets.get("a")] == [first]


def test_a_mended_upload_shows_its_own_rejected_files(datasets: Datasets, tmp_path: Path) -> None:
    good = {"t/1.png": photograph(1), "t/2.png": photograph(2)}
    first, _ = datasets.add_archive("a", archive(tmp_path, {**good, "t/3.png": b"broken"}))
    mended, created = datasets.add_archive("a", archive(tmp_path, good))
    assert [each.file for each in first.rejected] == ["t/3.png"]
    assert (mended.id, mended.rejected, created) == (first.id, [], False)
    assert datasets.get("a").rejected == []


def test_the_same_pictures_with_other_types_are_another_dataset(datasets: Datasets, tmp_path: Path) -> None:
    pictures = [photograph(1), photograph(2)]
    digests = {
        datasets.add_archive(kind, archive(tmp_path, {f"{kind}/{i}": data for i, data in enumerate(pictures)}))[
            0
        ].digest
        for kind in ("dents", "pits")
    }
    assert len(digests) == 2


def test_a_photograph_uploaded_twice_counts_twice(datasets: Datasets, tmp_path: Path) -> None:
    files = {"t/1.png": photograph(1), "t/2.png": photograph(1)}
    assert datasets.add_archive("a", archive(tmp_path, files))[0].image_count == 2


def test_unusable_images_are_listed_and_other_files_are_passed_over(datasets: Datasets, tmp_path: Path) -> None:
    files = {
        "t/1.png": photograph(1),
        "t/2.png": photograph(2),
        "t/cut.png": photograph(3)[:100],
        "t/tiny.png": photograph(4, side=5),
        "../out.png": photograph(5),
        ".hidden/6.png": photograph(6),
        "Thumbs.db": b"x",
        "t/readme.txt": b"x",
        "t/.DS_Store": b"x",
        "__MACOSX/t/._1.png": b"x",
        "t/@eaDir/1.png/SYNOPHOTO_THUMB_XL.jpg": photograph(7),
        "#recycle/8.png": photograph(8),
        "t/.@__thumb/default1.png": photograph(9),
        "System Volume Information/10.png": photograph(10),
    }
    dataset, _ = datasets.add_archive("a", archive(tmp_path, files))
    reasons = {each.file: each.reason for each in dataset.rejected}
    assert dataset.image_count == 2
    assert set(reasons) == {"t/cut.png", "t/tiny.png", "../out.png", ".hidden/6.png"}
    assert "too small: 5x5" in reasons["t/tiny.png"]


def test_types_beyond_the_limit_are_refused_and_earlier_types_still_grow(
    datasets: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawsmith.core.store.datasets.ingestion.MAX_CLASSES", 2)
    files = {"a/1": photograph(1), "b/2": photograph(2), "c/3": photograph(3), "a/4": photograph(4)}
    dataset, _ = datasets.add_archive("x", archive(tmp_path, files))
    assert dataset.classes == {"a": 2, "b": 1}
    assert [each.file for each in dataset.rejected] == ["c/3"]
    assert len([path for path in on_disk(datasets) if path.parent.name == "images"]) == 3


def test_after_a_full_disk_no_file_is_left(datasets: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = archive(tmp_path, {f"{i}.png": photograph(i) for i in range(3)})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArtifactStore, "publish", full)
    with pytest.raises(OSError, match="No space"):
        datasets.add_archive("a", upload)
    assert on_disk(datasets) == []


def test_fewer_than_two_usable_images_are_refused_with_the_reasons(datasets: Datasets, tmp_path: Path) -> None:
    with pytest.raises(TooFewImages, match="1 usable images; at least 2") as caught:
        datasets.add_archive("a", archive(tmp_path, {"1.png": photograph(1), "2.png": b"no"}))
    assert [each.file for each in caught.value.rejected] == ["2.png"]


def test_after_a_refusal_no_file_is_left(datasets: Datasets, tmp_path: Path) -> None:
    upload = archive(tmp_path, {f"{i}.png": photograph(i) for i in range(5)})
    upload.write_bytes(upload.read_bytes()[:-40])
    with pytest.raises(BrokenArchive):
        datasets.add_archive("a", upload)
    with pytest.raises(TooFewImages):
        datasets.add_archive("a", archive(tmp_path, {"1.png": photograph(1)}))
    assert on_disk(datasets) == []


def test_single_images_are_of_one_type_and_paths_in_their_names_are_ignored(datasets: Datasets, tmp_path: Path) -> None:
    paths = [tmp_path / str(i) for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(photograph(i))
    dataset, _ = datasets.add_images("dents", zip(["../../etc/x.png", "C:\\x.png", "x.png"], paths, strict=True))
    assert dataset.classes == {"dents": 3}


def test_a_deleted_dataset_is_not_found_under_any_name(datasets: Datasets, tmp_path: Path) -> None:
    dataset, _ = datasets.add_archive("a", archive(tmp_path, {"1.png": photograph(1), "2.png": photograph(2)}))
    datasets.delete(dataset.id)
    for name in ("a", dataset.id, "../a", "no such"):
        with pytest.raises(UnknownDataset):
            datasets.get(name)
    assert on_disk(datasets) == []


def test_training_gets_squares_of_one_mode_in_an_order_independent_of_file_names(
    datasets: Datasets, tmp_path: Path
) -> None:
    files = {"b/1.png": photograph(1), "b/2.png": photograph(2, mode="RGB"), "a/3.png": photograph(3, side=90)}
    datasets.add_archive("a", archive(tmp_path, files))
    loaded = datasets.load("a", 32)
    assert (loaded.pixels.shape, loaded.pixels.dtype) == ((3, 32, 32, 3), np.uint8)
    assert (loaded.type_index.tolist(), loaded.classes) == ([0, 1, 1], ["a", "b"])
    assert loaded.files[0] == "a/3.png"
