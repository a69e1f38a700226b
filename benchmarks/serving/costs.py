"""Measures what one image costs each part of the service: CPU time, and bytes that Redis writes to its disk.

    python -m benchmarks.serving.costs [--seconds 20]

It measures once with a drained pool, so that every image is made for a waiting request, and once from a full pool.
docs/scaling.md is based on these figures.
"""

import argparse
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.local_service import LocalService, wait_until
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.flawsmith_service import MODEL, flawsmith, one_image, wait_until_pool_is_full
from benchmarks.serving.load import Load, run_apart
from benchmarks.serving.machine import machine
from benchmarks.serving.processes import cpu_seconds

CLIENTS = 32
DRAINING_SECONDS = 5.0
MAX_SECONDS = 300.0
PARTS = {"API": ("api",), "Redis": ("redis",), "sampling worker": ("worker", "sample")}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=20.0, help="of the measurement with a drained pool")
    given = options.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name, flawsmith(Path(name) / "flawsmith") as service:
        config = article_config()
        publish(service.data_dir, MODEL, save_weights(Path(name), config), config)
        many = replace(one_image(service), clients=CLIENTS)
        run_apart(replace(many, seconds=DRAINING_SECONDS))
        _measure("pool drained", service, replace(many, seconds=given.seconds))
        size = wait_until_pool_is_full(service)
        _measure("from the pool", service, replace(many, requests=size // 2, seconds=MAX_SECONDS))


def _measure(what: str, service: LocalService, load: Load) -> None:
    pids = {name: wait_until(lambda part=part: service.pid(*part), 10, name) for name, part in PARTS.items()}
    before, written = {name: cpu_seconds(pid) for name, pid in pids.items()}, _written_bytes(pids["Redis"])
    outcome = run_apart(load)
    images = outcome.answers()
    if images < len(outcome.status):
        print(f"{what}: answers other than 200 cost time as well: {dict(Counter(outcome.status))}")
    print(f"{what}: {images} images, {outcome.images_per_second:.0f}/s; for each:")
    for name, pid in pids.items():
        print(f"  {name:<18}{1000 * (cpu_seconds(pid) - before[name]) / images:8.3f} ms of a core")
    print(f"  {'Redis, to disk':<18}{(_written_bytes(pids['Redis']) - written) / images / 1000:8.1f} KB")


def _written_bytes(pid: int) -> int:
    """Bytes that a process has written to disk so far."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("write_bytes:")))


if __name__ == "__main__":
    main()
