"""The command `flawsmith api`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def api_command(keys: str | None, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("FLAWSMITH_")}
    environment["FLAWSMITH_DATA_DIR"] = str(folder)
    if keys is not None:
        environment["FLAWSMITH_API_KEYS"] = keys
    return subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", "api", "--require-keys", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("keys", [None, "", " , "])
def test_require_keys_refuses_to_start_without_a_key(keys: str | None, tmp_path: Path) -> None:
    done = api_command(keys, tmp_path)
    assert done.returncode == 2
    assert "set FLAWSMITH_API_KEYS=KEY:admin" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_ends_where_there_is_a_key_and_refuses_where_there_is_none(tmp_path: Path) -> None:
    assert api_command("sesame:admin", tmp_path, "--check").returncode == 0
    assert api_command(None, tmp_path, "--check").returncode == 2
