"""The command `flawsmith api`."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("keys", [None, "", " , "])
def test_require_keys_refuses_to_start_without_a_key(keys: str | None) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("FLAWSMITH_")}
    if keys is not None:
        environment["FLAWSMITH_API_KEYS"] = keys
    done = subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", "api", "--require-keys"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "set FLAWSMITH_API_KEYS=KEY:admin" in done.stderr
    assert "Traceback" not in done.stderr
