"""`flawsmith demo` as a user runs it, with a short training."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import free_port

from flawsmith.core.demo_set import DEFECT_TYPES


def test_the_demo_trains_writes_images_and_stops_its_service(tmp_path: Path) -> None:
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLAWSMITH_")}
    environment |= {"FLAWSMITH_PORT": str(port), "FLAWSMITH_DATA_DIR": str(tmp_path / "data")}
    command = [Path(sys.executable).with_name("flawsmith"), "demo", "--seconds", "3", "--no-keep", "--out", "out"]
    demo = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=430)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "starts from the prior for 64 px gray" in demo.stdout
    assert "verdict: " in demo.stdout
    out = tmp_path / "out"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["model"] == "demo@1"  # by number: a name serves no version that is failing, as after so few steps
    listed = {entry["file"] for entry in manifest["images"]}
    written = {str(path.relative_to(out)) for path in out.glob("*/*.png")}
    assert len(listed) == 64
    assert written == listed
    assert {path.split("/")[0] for path in written} == set(DEFECT_TYPES)
    for name in written:
        assert Image.open(out / name).text["Synthetic"] == "true"
    sheet, real = Image.open(out / "sheet.png"), Image.open(out / "real.png")
    assert sheet.width > real.width
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert (tmp_path / "data" / "serve.log").read_text().rstrip().endswith("stopped")
