"""The drawn plates: exact masks, small defects, the same bytes, and an archive that an upload understands."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from benchmarks.plates import DEFECTS, LENGTHS, SIDE, plate, write_archive

from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.datasets import Datasets


@pytest.mark.parametrize("name", DEFECTS)
def test_mask_is_of_one_small_defect_inside_the_plate(name: str) -> None:
    for number in range(8):
        drawn = plate(name, number)
        rows, columns = np.nonzero(drawn.mask)
        length = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 0.5 * LENGTHS[0] < length < 1.2 * LENGTHS[1], (name, number)
        assert min(rows.min(), columns.min()) > 0, (name, number)
        assert max(rows.max(), columns.max()) < SIDE - 1, (name, number)


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_where_the_mask_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same plate without its defect differs inside of the mask, and nowhere far from it."""
    drawing = DEFECTS[name]
    shown = [plate(name, number) for number in range(4)]
    monkeypatch.setitem(DEFECTS, name, lambda *given: (drawing(*given)[0], np.zeros(1, np.float32)))
    for number, drawn in enumerate(shown):
        change = np.abs(drawn.pixels.astype(int) - plate(name, number).pixels.astype(int))
        assert change[drawn.mask].mean() > 5, (name, number)
        near = np.zeros_like(drawn.mask)
        rows, columns = np.nonzero(drawn.mask)
        near[max(0, rows.min() - 8) : rows.max() + 9, max(0, columns.min() - 8) : columns.max() + 9] = True
        assert not change[~near].any(), (name, number)


def test_plates_differ_by_number_type_and_seed_only() -> None:
    first = plate("dents", 3, 1)
    assert np.array_equal(first.pixels, plate("dents", 3, 1).pixels)
    for other in (plate("dents", 4, 1), plate("dents", 3, 2), plate("scratches", 3, 1), plate(None, 3, 1)):
        assert not np.array_equal(first.pixels, other.pixels)
    assert not plate(None, 3, 1).mask.any()
    with pytest.raises(KeyError, match="blotches, dents, scratches"):
        plate("rust", 0)


def test_archive_is_understood_by_an_upload_and_repeats(tmp_path: Path) -> None:
    digests = []
    for name in ("first.zip", "second.zip"):
        write_archive(tmp_path / name, count=6, clean=2, side=192, seed=5)
        digests.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        assert "plates/ground_truth/dents/001_mask.png" in archive.namelist()
    datasets = Datasets(ArtifactStore(tmp_path / "store"), Settings())
    dataset, _ = datasets.add_archive("plates", tmp_path / "first.zip")
    assert dataset.layout is not None
    assert (dataset.layout.kind, dataset.layout.masks, dataset.layout.clean) == ("mvtec", 6, 2)
    assert dataset.classes == dict.fromkeys(DEFECTS, 2)
    assert dataset.rejected == []
    stored = {(each.defect_type, each.file): each.annotations.mask() for each in datasets.photographs(dataset.id)}
    for (name, file), mask in stored.items():
        assert mask is not None
        assert np.array_equal(mask, plate(name, int(Path(file).stem), 5, 192).mask)
