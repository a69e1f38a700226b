"""Measures how long the quality report of a version takes, and how much memory its worker needs for it.

    python -m benchmarks.report PHOTOGRAPHS [--types scratches] [--preset fewshot] [--seconds 100] [--keep FOLDER]

PHOTOGRAPHS is an archive with a folder for each type. Trains a version through a service of its own, waits for the
report that follows, and has it made a second time by a fresh worker, so that its peak memory is that of the report.
Prints the seconds from the first segment to the end, and the worker's peak resident memory. `--keep` leaves report and
page in a folder.
"""

import argparse
import io
import os
import signal
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.local_service import LocalService, local_service, wait_until
from benchmarks.serving.machine import machine

REPORT_SECONDS, START_SECONDS = 900.0, 300.0  # at most
MODEL = "reported"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("photographs", type=Path)
    options.add_argument("--types", nargs="+", help="folders of the archive; default: all")
    options.add_argument("--preset", default="fewshot")
    options.add_argument("--resolution", type=int, default=64)
    options.add_argument("--seconds", type=float, default=100.0, help="of training")
    options.add_argument("--threads", default="2", help="of the worker")
    options.add_argument("--keep", type=Path, help="folder for report and page")
    given = options.parse_args()
    archive = given.photographs.read_bytes()
    settings = {"threads": given.threads, "reports": "true"}
    with tempfile.TemporaryDirectory() as folder, local_service(Path(folder), **settings) as service:
        service.upload("photographs", _with_types(archive, given.types) if given.types else archive)
        _train(service, given)
        path = f"/models/{MODEL}/versions/1/report"
        wait_until(lambda: service.client.get(path).status_code == 200, REPORT_SECONDS, "the first report")
        job, peak = _made_again(service, path)
        begun, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
        count = service.client.get("/datasets/photographs").json()["image_count"]
        print(f"{machine()}; {given.threads} threads; {given.preset}, {given.resolution} px, {count} photographs")
        print(f"the report takes {(ended - begun).total_seconds():.1f} s, its worker {peak / 2**20:.0f} MiB at most")
        if given.keep:
            given.keep.mkdir(parents=True, exist_ok=True)
            for name in ("report", "report.html"):
                answer = service.client.get(f"/models/{MODEL}/versions/1/{name}")
                (given.keep / (name if "." in name else f"{name}.json")).write_bytes(answer.content)


def _train(service: LocalService, given: argparse.Namespace) -> None:
    body = {
        "dataset": "photographs",
        "model": MODEL,
        "preset": given.preset,
        "resolution": given.resolution,
        "max_seconds": given.seconds,
    }
    answer = service.client.post("/training-jobs", json=body)
    answer.raise_for_status()
    path = f"/training-jobs/{answer.json()['id']}"
    _succeeded(service, path, given.seconds + REPORT_SECONDS)


def _made_again(service: LocalService, path: str) -> tuple[dict[str, Any], int]:
    """The report job of a worker that does nothing else, and the worker's peak memory in bytes."""
    old = service.pid("worker", "train")
    assert old
    os.kill(old, signal.SIGTERM)
    wait_until(lambda: service.pid("worker", "train") not in (None, old), START_SECONDS, "a fresh worker runs")
    worker = service.pid("worker", "train")
    wait_until(service.ready, START_SECONDS, "the fresh worker accepts jobs")
    answer = service.client.post(path)
    answer.raise_for_status()
    job = _succeeded(service, answer.headers["location"], REPORT_SECONDS)
    status = Path(f"/proc/{worker}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return job, int(peak.split()[1]) * 1024


def _succeeded(service: LocalService, path: str, seconds: float) -> dict[str, Any]:
    """Waits until a job has succeeded; returns its record."""

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = service.client.get(path).json()
        return job if job["state"] in ("succeeded", "failed") else None

    job: dict[str, Any] = wait_until(ended, seconds, f"{path} ends")
    if job["state"] == "failed":
        raise RuntimeError(f"{path}: {job['error']}")
    return job


def _with_types(archive: bytes, types: Sequence[str]) -> bytes:
    """An archive with these of its folders only."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as read, zipfile.ZipFile(made, "w") as written:
        for name in read.namelist():
            if not name.endswith("/") and Path(name).parent.name in types:
                written.writestr(name, read.read(name))
    return made.getvalue()


if __name__ == "__main__":
    main()
