"""schemathesis against the running service: no server error, no undocumented status."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import Service


def test_no_call_ends_in_a_server_error_or_an_undocumented_status(service: Service, tmp_path: Path) -> None:
    checks = "not_a_server_error,status_code_conformance,content_type_conformance"
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{service.client.base_url}/openapi.json"]
    options = [f"--checks={checks}", "--max-examples=12", "--seed=1", "--exclude-path-regex=/events$", "--no-color"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
