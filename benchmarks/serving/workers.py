"""Two sampling workers of one thread each against one with all cores: what the same 32 clients get.

    python -m benchmarks.serving.workers [--rounds 5] [--seconds 10]

The stock is drained first. Both sites serve the same weights, one is measured after the other in each round, and the
images of some addresses are compared between the two.
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

from tests.conftest import Service, until

from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.load import run_apart
from benchmarks.serving.machine import machine
from benchmarks.serving.processes import until_idle
from benchmarks.serving.site import MODEL, flawsmith, one_image

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
        sites: dict[int, Service] = {}
        for workers in (1, cores):
            service = running.enter_context(flawsmith(folder / str(workers), threads=str(cores // workers)))
            publish(service.data_dir, MODEL, weights, config)
            for _ in range(workers - 1):
                running.enter_context(_another_worker(service))
            until(lambda service=service, workers=workers: _sampling(service) == workers, 30, "all workers are there")
            sites[workers] = service
        same = len({_digest(service) for service in sites.values()}) == 1
        rates = _measure(sites, given.rounds, given.seconds)
    ratios = [many / one for one, many in zip(*rates.values(), strict=True)]
    print(
        f"{cores} workers of 1 thread against 1 of {cores}: x{statistics.median(ratios):.2f} (median of {len(ratios)})"
    )
    print(f"{'holds' if same else 'FAILS'}: {COMPARED} addresses are the same bytes from both")
    sys.exit(not same)


def _measure(sites: dict[int, Service], rounds: int, seconds: float) -> dict[int, list[float]]:
    rates: dict[int, list[float]] = {workers: [] for workers in sites}
    for _ in range(rounds):
        for workers, service in sites.items():
            until_idle([each.process.pid for other, each in sites.items() if other != workers])
            load = replace(one_image(service), clients=CLIENTS, warm_seconds=DRAINING_SECONDS, seconds=seconds)
            rates[workers].append(run_apart(load).images_per_second)
            print(f"{workers} worker(s): {rates[workers][-1]:.1f} images/s", flush=True)
    return rates


@contextmanager
def _another_worker(service: Service) -> Iterator[None]:
    command = [sys.executable, "-m", "flawsmith.cli.main", "worker", "sample"]
    with service.log.open("ab") as log:
        worker = subprocess.Popen(command, env=service.environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(20)


def _sampling(service: Service) -> int:
    return sum(each["labels"]["queue"] == "sample" for each in service.client.get("/metrics/targets").json())


def _digest(service: Service) -> str:
    body = {"model": MODEL, "count": COMPARED, "seed": 0, "format": "npy"}
    return hashlib.sha256(service.client.post("/generate", json=body).raise_for_status().content).hexdigest()


if __name__ == "__main__":
    main()
