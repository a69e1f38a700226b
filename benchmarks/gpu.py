"""Runs on one machine with a GPU all that was written for one, and prints what it found as tables.

    make gpu                      # python -m benchmarks.gpu --device cuda
    make gpu DEVICE=cpu           # the same code, small, where there is no GPU

The tests marked `gpu`; the speed and memory of each trainer; what recorded steps differ by from plain ones; how fast a
generator samples in each precision, and how far from the CPU; and a job at 128 px from upload to image, in a service of
its own. A part that fails is reported in its row, and the others still run; the exit status is then 1.
"""

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import torch

from benchmarks.gpu_job import JobSize, job_to_its_end
from benchmarks.gpu_networks import (
    STEPS,
    GraphDifference,
    deterministic_difference,
    graph_difference,
    sampling_figures,
)
from benchmarks.local_service import local_service
from benchmarks.serving.machine import machine
from benchmarks.training import ARTICLE, WARM_STEPS, Contender, contenders

MIB = 2**20


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        sides: of the images, in pixels.
        of_article: sides up to which the article's networks are measured too.
        seconds: of each measurement.
        job: the whole job.
        dcgan: overrides, for the article's loop too.
    """

    sides: Sequence[int]
    of_article: int
    seconds: float
    job: JobSize
    dcgan: Mapping[str, Any]


FULL = Size((64, 128, 256), 128, 5.0, JobSize(side=128, per_type=100, steps=3000, images=256, overrides={}), {})
SMALL = Size(
    (32,),
    32,
    0.05,
    JobSize(32, 4, 6, 8, {"generator_width": 4, "discriminator_width": 8, "batch_size": 4}),
    {"generator_depth": 4, "discriminator_depth": 4, "batch_size": 4},
)


class Report:
    """Prints rows as they are found, and counts what failed."""

    def __init__(self) -> None:
        self.failed = 0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.failed += 1
            self.row(name, f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:300]}")

    def heading(self, *cells: str) -> None:
        print()
        self.row(*cells)
        self.row(*["---"] * len(cells))

    def row(self, *cells: str) -> None:
        print(f"| {' | '.join(cells)} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    options.add_argument("--small", action="store_true", help="tiny networks and sizes: only to see that it works")
    options.add_argument("--url", help="of a service that runs already on such a device, in place of one of its own")
    given = options.parse_args(arguments)
    device, size, report = torch.device(given.device), SMALL if given.small else FULL, Report()
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no CUDA GPU here; `make gpu DEVICE=cpu` runs the same code, small, without one", file=sys.stderr)
        return 2
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as workers do, for deterministic kernels
    print(f"{_device_name(device)}; {machine()}")
    _measure_training(report, size, device)
    report.heading("also", "found")
    with report.part("tests marked gpu"):
        report.row("tests marked gpu", _tests() if device.type == "cuda" else "not run: they need a GPU")
    for side in size.sides:
        with report.part(f"{side} px, recorded against plain steps"):
            report.row(
                f"{side} px, recorded against plain steps", _words(graph_difference(side, device, size.job.overrides))
            )
        with report.part(f"{side} px, a deterministic job"):
            apart = deterministic_difference(side, device, size.job.overrides)
            report.row(f"{side} px, a deterministic job", f"two equal runs of {STEPS} steps differ by {apart:.1e}")
    for side in size.sides:
        with report.part(f"{side} px, sampling"):
            for precision, words in sampling_figures(side, device, size.seconds, size.job.overrides).items():
                report.row(f"{side} px, sampling in {precision}", words)
    with report.part("a whole job"), _client(given.url, given.device) as client:
        for name, found in job_to_its_end(client, size.job):
            report.row(name, found)
    return 1 if report.failed else 0


def _measure_training(report: Report, size: Size, device: torch.device) -> None:
    report.heading("side", "trainer", "images/s", f"times {ARTICLE}", "peak memory, MiB")
    for side in size.sides:
        plain, recorded = (
            contenders(side, dict(size.dcgan), {**size.job.overrides, "cuda_graph": graph}, device)
            for graph in (False, True)
        )
        built = {name: build for name, build in plain.items() if name != "fewshot" and side <= size.of_article}
        built |= {"fewshot, step by step": plain["fewshot"], "fewshot, recorded": recorded["fewshot"]}
        of_article = None
        for name, build in built.items():
            with report.part(f"{side} px, {name}"):
                rate, peak = _speed(build, size.seconds, device)
                of_article = rate if name == ARTICLE else of_article
                times = f"{rate / of_article:.2f}" if of_article else ""
                report.row(f"{side} px", name, f"{rate:,.1f}", times, f"{peak / MIB:,.0f}" if peak else "")


def _speed(build: Callable[[], Contender], seconds: float, device: torch.device) -> tuple[float, int]:
    """Images a second, and the largest memory of the GPU in use, 0 on a CPU; nothing else is on it by then."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    contender = build()
    for _ in range(WARM_STEPS + 2):  # the step after the warm ones is recorded
        contender.step()
    contender.measure(seconds)
    return contender.rates[0], torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def _words(found: GraphDifference) -> str:
    recorded = "" if found.recorded else "; nothing was recorded: graphs are of CUDA"
    return (
        f"after {found.steps} steps weights differ by at most {found.recorded_apart:.1e}, "
        f"those of two plain runs by {found.plain_apart:.1e}{recorded}"
    )


def _tests() -> str:
    """Raises RuntimeError where one fails, with the end of what pytest printed."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "--no-header", "-rfE"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["nothing printed"]
    if done.returncode:
        raise RuntimeError("; ".join(lines[-8:]))
    return f"{lines[-1].strip('= ')} ({time.monotonic() - begun:.0f} s with collection)"


@contextmanager
def _client(url: str | None, device: str) -> Iterator[httpx2.Client]:
    """Of the service at the address; without one, of a service of its own on the device."""
    if url is not None:
        with httpx2.Client(base_url=url, timeout=60) as client:
            yield client
        return
    with tempfile.TemporaryDirectory() as folder, local_service(Path(folder), device=device) as service:
        yield service.client


def _device_name(device: torch.device) -> str:
    if device.type != "cuda":
        return "no GPU"
    memory = torch.cuda.get_device_properties(device).total_memory / 2**30
    return f"{torch.cuda.get_device_name(device)}, {memory:.0f} GiB, CUDA {torch.version.cuda}"


if __name__ == "__main__":
    sys.exit(main())
