"""Measures images that are made while a job trains on the same device, with and without `FLAWSMITH_SAMPLING_FIRST`.

    python -m benchmarks.shared_device [--requests 15] [--rounds off on] [--threads 2] [--device cpu]

Without and with the setting, and again in the other order, a service trains a 64 px `fewshot` job without end, and a
client asks for one new image by its address at a time, with a pause between two, so that each image is sampled. Printed
are the seconds of an answer (median, p95), alone and beside the job, and the job's images/s. First it prints what the
setting costs a step and a pass.
"""

import argparse
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.local_service import LocalService, local_service, wait_until
from benchmarks.noise_photographs import noise_archive
from benchmarks.serving.machine import machine
from flawsmith.worker.devices.sampling_first import DeviceFlags, SamplingPasses, TrainingTurns

ROUNDS = ("off", "on", "on", "off")
PHOTOGRAPHS, SIDE = 60, 64
PAUSE_SECONDS = 0.3  # between two requests
JOB = {"dataset": "noise", "model": "noise", "preset": "fewshot", "resolution": SIDE}
ENDLESS = 1_000_000  # steps
CALLS = 20_000  # of which the mean is what one costs


@dataclass
class Figures:
    """Of one choice: seconds of each answer, and images/s of the job in each round."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    @property
    def row(self) -> str:
        cells = [f"{1000 * value:.0f} ms" for times in (self.alone, self.beside) for value in _spread(times)]
        return " | ".join([*cells, " ".join(f"{each:.1f}" for each in self.rates)])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=15, help="of each round")
    options.add_argument("--rounds", nargs="+", choices=("off", "on"), default=ROUNDS, help="the setting in each round")
    options.add_argument("--threads", type=int, default=2, help="of each worker")
    options.add_argument("--device", default="cpu", help="of both workers")
    given = options.parse_args()
    print(f"{machine()}; a fewshot job at {SIDE} px, workers with {given.threads} threads on {given.device}\n")
    _print_costs()
    found = {choice: Figures() for choice in given.rounds}
    for choice in given.rounds:
        settings = {"sampling_first": choice, "threads": str(given.threads), "device": given.device}
        with TemporaryDirectory() as folder, local_service(Path(folder), **settings) as service:
            _measure(service, given.requests, found[choice])
    print("| `FLAWSMITH_SAMPLING_FIRST` | alone: median | p95 | beside the job: median | p95 | the job: images/s |")
    print("|---|---|---|---|---|---|")
    for choice, figures in found.items():
        print(f"| `{choice}` | {figures.row} |")


def _print_costs() -> None:
    """What a step and a pass pay, apart from waiting."""
    stopping = threading.Event()
    with TemporaryDirectory() as folder:
        turns = TrainingTurns(Path(folder), lambda: ["device"])
        alone = _microseconds(lambda: turns.wait(stopping))
        passes = SamplingPasses(DeviceFlags(Path(folder), "device"))
        beside = TrainingTurns(Path(folder), lambda: ["device"])
        shared = _microseconds(lambda: beside.wait(stopping))

        def one_pass() -> None:
            with passes.one():
                pass

        print(f"a step: {alone:.2f} us alone on its device, {shared:.1f} us beside an idle sampling worker", end="; ")
        print(f"a pass: {_microseconds(one_pass):.1f} us\n", flush=True)


def _microseconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(CALLS):
        call()
    return 1e6 * (time.perf_counter() - begun) / CALLS


def _measure(service: LocalService, requests: int, figures: Figures) -> None:
    service.upload("noise", noise_archive(PHOTOGRAPHS, SIDE))
    published = _submit(service, 1)
    wait_until(lambda: _job(service, published)["state"] == "succeeded", 300, "a version is published")
    _answer_seconds(service, range(2))  # loads the generator
    figures.alone += _answer_seconds(service, range(requests, 2 * requests))
    job = _submit(service, ENDLESS)
    wait_until(lambda: _job(service, job)["progress"]["step"] > 2, 300, "the job trains")
    before, begun = _job(service, job), time.monotonic()
    figures.beside += _answer_seconds(service, range(2 * requests, 3 * requests))
    after, seconds = _job(service, job), time.monotonic() - begun
    steps = after["progress"]["step"] - before["progress"]["step"]
    figures.rates.append(steps * after["config"]["batch_size"] / seconds)
    service.client.post(f"/training-jobs/{job}/cancel").raise_for_status()


def _answer_seconds(service: LocalService, seeds: range) -> list[float]:
    times = []
    for seed in seeds:
        time.sleep(PAUSE_SECONDS)
        begun = time.perf_counter()
        service.client.post("/generate", json={"model": "noise@1", "seed": seed}).raise_for_status()
        times.append(time.perf_counter() - begun)
    return times


def _submit(service: LocalService, steps: int) -> str:
    answer = service.client.post("/training-jobs", json={**JOB, "steps": steps})
    identity: str = answer.raise_for_status().json()["id"]
    return identity


def _job(service: LocalService, job: str) -> dict[str, Any]:
    record: dict[str, Any] = service.client.get(f"/training-jobs/{job}").raise_for_status().json()
    return record


def _spread(times: list[float]) -> tuple[float, float]:
    return median(times), quantiles(times, n=20)[-1]


if __name__ == "__main__":
    main()
