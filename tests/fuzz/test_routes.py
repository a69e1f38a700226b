"""Every route with schemathesis, in all its phases: no 5xx, no undocumented status or media type, no place on the host.

The full length makes rounds with other seeds, each with a data set, a job and a model of its own.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PrintFigure, Service, photograph, zipped
from tests.fuzz.conftest import FULL_SECONDS, REPOSITORY, megabytes
from tests.fuzz.test_requests import cancel_all

ROUND_SECONDS = 145.0  # at full length; the first phases alone take two minutes on a busy machine
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,tells_no_place"


@pytest.mark.timeout(1200)
def test_routes(service: Service, tmp_path: Path, full_length: bool, print_figure: PrintFigure) -> None:
    pid = service.pid("api") or 0
    begun, rounds, memory = time.monotonic(), 0, [megabytes(pid)]
    options = ["--max-examples=12", "--exclude-path-regex=/events$"]
    while rounds == 0 or (full_length and time.monotonic() - begun < FULL_SECONDS - ROUND_SECONDS / 2):
        rounds += 1
        if full_length:
            options = [f"--max-time={ROUND_SECONDS:.0f}", "--max-examples=60"]
        _round(service, tmp_path / str(rounds), rounds, options)
        memory.append(megabytes(pid))
    print_figure(
        f"schemathesis: {rounds} rounds in {time.monotonic() - begun:.0f} s; MB of the API before, and after each: "
        + ", ".join(f"{each:.0f}" for each in memory)
    )
    if full_length:
        assert memory[-1] < memory[1] + 100, "the memory grows"


def _round(service: Service, folder: Path, seed: int, options: list[str]) -> None:
    """Runs schemathesis in a folder. The calls name what exists and no other test uses."""
    name = f"fuzzed-{seed}"
    assert service.upload(name, zipped({f"{i}.png": photograph(400 + 10 * seed + i) for i in range(3)})).is_success
    job = service.train(name, name)["id"]
    names = {"name": name, "version": "1", "dataset_id": name, "job_id": job, "alias": "staging"}
    folder.mkdir()
    (folder / "schemathesis.toml").write_text(
        "[parameters]\n" + "".join(f'"path.{each}" = "{value}"\n' for each, value in names.items())
    )
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{service.client.base_url}/openapi.json"]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.fuzz.schemathesis_checks",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        "FLAWSMITH_PLACES": os.pathsep.join([str(service.data_dir), str(REPOSITORY), sys.prefix]),
    }
    done = subprocess.run(
        [*command, f"--checks={CHECKS}", f"--seed={seed}", "--no-color", "--request-timeout=60", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        env=environment,
    )
    cancel_all(service)
    assert done.returncode == 0, done.stdout[:12_000] + done.stdout[-6000:] + done.stderr[-2000:]
