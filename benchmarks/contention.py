"""Measures a `fewshot` job beside busy processes on the same cores, for several ways of waiting and numbers of threads.

    python -m benchmarks.contention [--seconds 30] [--neighbours 0 1 2 4] [--choices default spinning ...]

For each choice it starts a service, trains a 64 px job without end, and measures its images per second beside 0, 1, 2
and 4 busy processes; then, without them, beside a client that asks for images by address without pause. A neighbour is
a process of a session of its own, like another service on the machine; with ``--same-session`` it shares the session of
the service, where niceness counts in full.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from benchmarks.local_service import LocalService, local_service, wait_until
from benchmarks.noise_photographs import noise_archive
from benchmarks.serving.machine import machine

CHOICES: dict[str, dict[str, str]] = {
    "default": {},
    "spinning": {"OMP_WAIT_POLICY": "active"},
    "spinning for a moment": {"GOMP_SPINCOUNT": "1000"},
    "one thread": {"FLAWSMITH_THREADS": "1"},
    "niceness 0": {"FLAWSMITH_TRAIN_NICENESS": "0"},
    "spinning, niceness 0": {"OMP_WAIT_POLICY": "active", "FLAWSMITH_TRAIN_NICENESS": "0"},
}
"""Variables of the service by the name of the choice."""

PHOTOGRAPHS, SIDE = 60, 64
SETTLE_SECONDS = 3.0  # after neighbours began
ENDLESS = 1_000_000  # steps
LONGEST_STEP_SECONDS = 60.0
ASKED = 16  # images in one request
TINY = {"preset": "fewshot", "resolution": 64, "steps": 1}


@dataclass(frozen=True)
class Sampled:
    """What a client received beside a job: images per second, and the median time of a request."""

    images_per_second: float
    seconds: float


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=30.0, help="of each measurement")
    options.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2, 4], help="busy processes")
    options.add_argument("--choices", nargs="+", choices=list(CHOICES), default=list(CHOICES))
    options.add_argument("--same-session", action="store_true", help="neighbours share the service's session")
    given = options.parse_args()
    print(f"{machine()}; images/s of a fewshot job at {SIDE} px, {given.seconds:g} s each\n")
    columns = [*(f"{count} neighbours" for count in given.neighbours), "beside a client", "the client: images/s", "p50"]
    print("| | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1), flush=True)
    for name in given.choices:
        with TemporaryDirectory() as folder, local_service(Path(folder), CHOICES[name]) as service:
            rates, beside, sampled = _measure(service, given.neighbours, given.seconds, given.same_session)
        cells = [*(f"{rate:.1f}" for rate in (*rates, beside, sampled.images_per_second)), f"{sampled.seconds:.3f} s"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _measure(
    service: LocalService, neighbours: Sequence[int], seconds: float, same_session: bool
) -> tuple[list[float], float, Sampled]:
    """The job's rate beside each number of neighbours, its rate beside a client, and what that client received."""
    service.upload("noise", noise_archive(PHOTOGRAPHS, SIDE))
    published = _submit(service, TINY)
    wait_until(lambda: _job(service, published)["state"] == "succeeded", 300, "a version is published")
    job = _submit(service, {**TINY, "steps": ENDLESS})
    wait_until(lambda: _job(service, job)["progress"]["step"] > 2, 300, "the job trains")
    rates = []
    for count in neighbours:
        with _busy_processes(count, same_session):
            rates.append(_images_per_second(service, job, seconds))
    with _client(str(service.client.base_url)) as received:
        beside = _images_per_second(service, job, seconds)
    requests, took = len(received), sum(received)
    sampled = Sampled(ASKED * requests / took if took else 0.0, median(received) if received else 0.0)
    service.client.post(f"/training-jobs/{job}/cancel").raise_for_status()
    return rates, beside, sampled


def _images_per_second(service: LocalService, job: str, seconds: float) -> float:
    """Counted between two reports of the job, the first after a moment in which the load settles."""
    time.sleep(SETTLE_SECONDS)
    first, begun = _next_report(service, job)
    time.sleep(seconds)
    last, ended = _next_report(service, job)
    batch: int = _job(service, job)["config"]["batch_size"]
    return (last - first) * batch / (ended - begun)


def _next_report(service: LocalService, job: str) -> tuple[int, float]:
    """The step of the next report, and when it came."""
    before = _job(service, job)["progress"]["step"]

    def newer() -> int | None:
        step: int = _job(service, job)["progress"]["step"]
        return step if step != before else None

    step = wait_until(newer, LONGEST_STEP_SECONDS, "the job reports a step")
    return step, time.monotonic()


def _submit(service: LocalService, body: dict[str, Any]) -> str:
    answer = service.client.post("/training-jobs", json={"dataset": "noise", "model": "noise", **body})
    identity: str = answer.raise_for_status().json()["id"]
    return identity


def _job(service: LocalService, job: str) -> dict[str, Any]:
    record: dict[str, Any] = service.client.get(f"/training-jobs/{job}").raise_for_status().json()
    return record


@contextmanager
def _busy_processes(count: int, same_session: bool) -> Iterator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command, start_new_session=not same_session) for _ in range(count)]
    try:
        yield
    finally:
        for each in processes:
            each.kill()
            each.wait()


@contextmanager
def _client(url: str) -> Iterator[list[float]]:
    """Asks for images by new addresses without pause; the value is the seconds that each request took."""
    stop, received = threading.Event(), list[float]()

    def ask() -> None:
        with httpx2.Client(base_url=url, timeout=120) as client:
            while not stop.is_set():
                begun, body = time.monotonic(), {"model": "noise@1", "count": ASKED, "seed": ASKED * len(received)}
                client.post("/generate", json=body).raise_for_status()
                received.append(time.monotonic() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield received
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
