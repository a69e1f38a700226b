"""docs/first-hour.md: its commands run as they stand, from the built wheel in an empty folder."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel
from PIL import Image
from tests.client.plain_install import linked
from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "first-hour.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def packages_beside_flawsmith() -> set[str]:
    """All distributions that are installed here, which `pip install` then finds installed, but Flawsmith and pip."""
    from importlib.metadata import distributions

    names = {each.metadata["Name"].lower() for each in distributions()}
    return names - {"flawsmith", "pip"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the wheel, and the page's programs saved as it says."""
    place = tmp_path / "empty"
    place.mkdir()
    monkeypatch.chdir(ROOT)
    build_wheel(str(place))
    for language, text in _BLOCK.findall(PAGE.read_text()):
        if language == "python":
            (place / text.splitlines()[0].removeprefix("# ")).write_text(text)
    return place


@pytest.mark.timeout(1500)
def test_the_commands_lead_from_the_wheel_to_a_training_loop(folder: Path, tmp_path: Path) -> None:
    linked(packages_beside_flawsmith(), tmp_path / "packages")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    commands = "".join(text for language, text in _BLOCK.findall(PAGE.read_text()) if language == "sh")
    port = str(free_port())
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FLAWSMITH_", "PIP_"))}
    environment |= {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": str(tmp_path / "packages"),  # in place of pip's downloads
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "FLAWSMITH_PORT": port,
        "FLAWSMITH_THREADS": "1",
        "FLAWSMITH_REPORTS": "false",
    }
    script = f"set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{commands}wait\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=1450
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert "Successfully installed flawsmith-0.1.0" in said
    assert "90 photographs: blotches 30, pits 30, scratches 30" in said
    assert "steel@production is steel@1 now" in said
    assert len(list((folder / "images").glob("*/*.png"))) == 16
    with zipfile.ZipFile(folder / "synthetic.zip") as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 60
    assert re.search(r"steel@2 \S", said)  # with the verdict
    assert Image.open(folder / "first.png").text["Synthetic"] == "true"
    assert "135 images of blotches, pits, scratches" in said
    assert "epoch 1: loss" in said
    assert len(list((folder / "flawsmith-cache").rglob("*.png"))) == 45
