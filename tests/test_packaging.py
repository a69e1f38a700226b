"""The distributions that `pip wheel .` and `python -m build` would make, built without network access."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel

from flawsmith.core.domain.priors import LARGEST_BYTES

ROOT = Path(__file__).parents[1]
SHOWN = ("flawsmith/app/docs_page/", "flawsmith/app/page", "flawsmith/cli/", "flawsmith/client/", "flawsmith/docs/")
PARTS = ("app", "cli", "client", "core", "models", "trackers", "worker")


def build(folder: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Builds a wheel of the source tree ``folder``."""
    monkeypatch.chdir(folder)
    return into / build_wheel(str(into))


def test_a_wheel_installs_the_package_flawsmith_and_no_other_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(build(ROOT, tmp_path, monkeypatch)) as wheel:
        names = {name for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert {name.split("/")[0] for name in names} == {"flawsmith"}
    sources = {
        f"flawsmith/{path.relative_to(ROOT)}"
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    pages = {f"flawsmith/docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert names == sources | pages | {"flawsmith/__init__.py", "flawsmith/py.typed"}
    assert "flawsmith/app/page/index.html" in names


def test_a_wheel_has_the_priors_and_each_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(build(ROOT, tmp_path, monkeypatch)) as wheel:
        sizes = {each.filename: each.file_size for each in wheel.infolist() if each.filename.endswith(".safetensors")}
    assert sizes.keys() == {f"flawsmith/{path.relative_to(ROOT)}" for path in ROOT.glob("models/presets/*/priors/*")}
    assert all(size <= LARGEST_BYTES for size in sizes.values())


def test_what_the_service_shows_is_small_and_has_its_licences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(build(ROOT, tmp_path, monkeypatch)) as wheel:
        shown = [each for each in wheel.infolist() if each.filename.startswith(SHOWN)]
    assert sum(each.compress_size for each in shown) < 1_000_000
    names = {each.filename for each in shown}
    assert {"flawsmith/app/docs_page/swagger_ui/LICENSE", "flawsmith/app/docs_page/swagger_ui/NOTICE"} <= names


def test_a_wheel_built_from_the_sdist_is_the_same_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = build(ROOT, tmp_path, monkeypatch)
    with tarfile.open(tmp_path / build_sdist(str(tmp_path))) as sdist:
        sdist.extractall(tmp_path / "unpacked", filter="data")
    [unpacked] = (tmp_path / "unpacked").iterdir()
    (tmp_path / "again").mkdir()
    assert build(unpacked, tmp_path / "again", monkeypatch).read_bytes() == wheel.read_bytes()
