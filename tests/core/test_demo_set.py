"""The demonstration set."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from flawsmith.core.demo_set import DEFECT_TYPES, write_demo_set


def test_a_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_demo_set(tmp_path / name, per_type=2, seed=seed)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("side", [32, 96])
def test_each_type_has_a_folder_of_gray_pictures_of_the_requested_size(tmp_path: Path, side: int) -> None:
    write_demo_set(tmp_path / "set.zip", per_type=3, side=side)
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        folders = [name.split("/")[0] for name in archive.namelist()]
        assert {folder: folders.count(folder) for folder in folders} == dict.fromkeys(DEFECT_TYPES, 3)
        for name in archive.namelist():
            picture = Image.open(io.BytesIO(archive.read(name)))
            assert (picture.mode, picture.size) == ("L", (side, side))
