"""Fuzzing with schemathesis: the running service gives no 5xx and no undocumented status or media type."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import Service, photograph, zipped


def test_no_call_ends_in_a_server_error_or_an_undocumented_status(service: Service, tmp_path: Path) -> None:
    """The calls name a dataset, job and model that exist and that no other test uses."""
    service.upload("fuzzed", zipped({f"{i}.png": photograph(400 + i) for i in range(3)}))
    job = service.train("fuzzed", "fuzzed")["id"]
    names = {"name": "fuzzed", "version": "1", "dataset_id": "fuzzed", "job_id": job, "alias": "staging"}
    (tmp_path / "schemathesis.toml").write_text(
        "[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in names.items())
    )
    checks = "not_a_server_error,status_code_conformance,content_type_conformance"
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{service.client.base_url}/openapi.json"]
    options = [f"--checks={checks}", "--max-examples=12", "--seed=1", "--exclude-path-regex=/events$", "--no-color"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=280)
    for state in ("queued", "running"):
        for unfinished in service.client.get("/training-jobs", params={"state": state}).json()["items"]:
            service.client.post(f"/training-jobs/{unfinished['id']}/cancel")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
