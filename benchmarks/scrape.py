"""Measures what a scrape of the API costs with many jobs and models.

    python -m benchmarks.scrape [--many 1000] [--scrapes 60]

A service gets MANY cancelled jobs, and MANY models, each in production and asked for an image that nobody can make.
Then a client scrapes it as Prometheus does, with a pause between two. Printed are the series, the milliseconds of a
scrape (median, p99, worst), and how much of the processor the API needs for one.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.local_service import LocalService, local_service
from benchmarks.noise_photographs import noise_archive
from benchmarks.serving.load import percentile
from benchmarks.serving.machine import machine
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry

PAUSE_SECONDS = 0.5  # between two scrapes
JOB = {"dataset": "noise", "preset": "dcgan", "resolution": 32, "steps": 5}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--many", type=int, default=1000, help="jobs, and models")
    options.add_argument("--scrapes", type=int, default=60)
    given = options.parse_args()
    print(f"{machine()}; {given.many} jobs and {given.many} models")
    with TemporaryDirectory() as folder, local_service(Path(folder)) as service:
        _submit(service, given.many)
        _publish(service, given.many)
        _scrape(service, given.scrapes)


def _submit(service: LocalService, many: int) -> None:
    service.upload("noise", noise_archive(20, 32))
    for number in range(many):
        job = service.client.post("/training-jobs", json={**JOB, "model": f"queued-{number}"}).raise_for_status().json()
        service.client.post(f"/training-jobs/{job['id']}/cancel")


def _publish(service: LocalService, many: int) -> None:
    registry = Registry(ArtifactStore(service.data_dir / "artifacts"))
    for number in range(many):
        name = f"many-{number}"
        with registry.store.staged() as staged:
            (staged / "generator.safetensors").write_bytes(name.encode())  # no generator: nothing is drawn
            card = {"classes": ["scratches"], "resolution": 32, "mode": "L", "preset": "dcgan", "config": {}}
            digests = {"dataset_digest": "none", "weights_sha256": "none"}
            registry.publish(name, staged, training_job=f"job-{number}", **card, **digests)
        registry.set_alias(name, "production", 1)
        service.client.post("/generate", json={"model": f"{name}@1", "deadline_seconds": 2})


def _scrape(service: LocalService, scrapes: int) -> None:
    took, begun = [], 0.0
    for number in range(scrapes + 1):
        time.sleep(PAUSE_SECONDS)
        before = time.perf_counter()
        text = service.client.get("/metrics").raise_for_status().text
        if number:  # the first opens the connection
            took.append(1000 * (time.perf_counter() - before))
        else:
            begun = _processor_seconds(service)
    spent = 1000 * (_processor_seconds(service) - begun) / scrapes
    series = sum(len(family.samples) for family in text_string_to_metric_families(text))
    times = f"{median(took):.0f} ms (median of {scrapes}), {percentile(took, 0.99):.0f} (p99), {max(took):.0f} (worst)"
    print(f"{series} series; a scrape takes {times}, and {spent:.0f} ms of the API's processor time")


def _processor_seconds(service: LocalService) -> float:
    """What the API has used so far."""
    fields = Path(f"/proc/{service.pid('api')}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
