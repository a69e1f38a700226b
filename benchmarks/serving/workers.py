"""Compares sampling workers of one thread each with one worker of all cores, for the same 32 clients.

    python -m benchmarks.serving.workers [--rounds 5] [--seconds 10]

The image pool is drained first. Both services have the same weights and are measured one after the other in each round.
The images of some addresses are compared between the two.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.local_service import LocalService, wait_until
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.flawsmith_service import MODEL, flawsmith, one_image
from benchmarks.serving.load import run_apart
from benchmarks.serving.machine import machine
from benchmarks.serving.processes import wait_until_idle

CLIENTS = 32
DRAINING_SECONDS = 5.0
COMPARED = 64  # addresses


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=10.0)
    given = options.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(machine())
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        config = article_config()
        weights = save_weights(folder, config)
        services: dict[int, LocalService] = {}
        for workers in (1, cores):
            service = running.enter_context(flawsmith(folder / str(workers), threads=str(cores // workers)))
            publish(service.data_dir, MODEL, weights, config)
            for _ in range(workers - 1):
                running.enter_context(_further_worker(service))
            wait_until(
                lambda service=service, workers=workers: _live_samplers(service) == workers, 30, "all workers are live"
            )
            services[workers] = service
        same = len({_digest(service) for service in services.values()}) == 1
        rates = _measure(services, given.rounds, given.seconds)
    ratios = [many / one for one, many in zip(*rates.values(), strict=True)]
    print(
        f"{cores} workers of 1 thread against 1 of {cores}: x{statistics.median(ratios):.2f} (median of {len(ratios)})"
    )
    print(f"{'holds' if same else 'FAILS'}: {COMPARED} addresses give the same bytes from both")
    sys.exit(not same)


def _measure(services: dict[int, LocalService], rounds: int, seconds: float) -> dict[int, list[float]]:
    rates: dict[int, list[float]] = {workers: [] for workers in services}
    for _ in range(rounds):
        for workers, service in services.items():
            wait_until_idle([each.process.pid for other, each in services.items() if other != workers])
            load = replace(one_image(service), clients=CLIENTS, warm_seconds=DRAINING_SECONDS, seconds=seconds)
            rates[workers].append(run_apart(load).images_per_second)
            print(f"{workers} worker(s): {rates[workers][-1]:.1f} images/s", flush=True)
    return rates


@contextmanager
def _further_worker(service: LocalService) -> Iterator[None]:
    command = [sys.executable, "-m", "flawsmith.cli.main", "worker", "sample"]
    with service.log.open("ab") as log:
        worker = subprocess.Popen(command, env=service.environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(20)


def _live_samplers(service: LocalService) -> int:
    return sum(each["labels"]["queue"] == "sample" for each in service.client.get("/metrics/targets").json())


def _digest(service: LocalService) -> str:
    body = {"model": MODEL, "count": COMPARED, "seed": 0, "format": "npy"}
    return hashlib.sha256(service.client.post("/generate", json=body).raise_for_status().content).hexdigest()


if __name__ == "__main__":
    main()
