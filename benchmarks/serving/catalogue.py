"""Measures POST /generate and every list call with few models, versions and jobs, and with very many.

    python -m benchmarks.serving.catalogue [--models 200] [--versions 50] [--jobs 10000]

"Few" is one full page: 50 models with one version each and 50 finished jobs, so that pages have equal lengths. Each
figure is the median of the p50 of several rounds, with one client that sends one request at a time.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from benchmarks.local_service import LocalService
from benchmarks.noise_photographs import noise_archive
from benchmarks.serving.article_generator import article_config, publish, save_weights
from benchmarks.serving.flawsmith_service import flawsmith, one_image, url, wait_until_pool_is_full
from benchmarks.serving.load import Load, run_apart
from benchmarks.serving.machine import machine
from flawsmith.core.domain.job_kinds.training import KIND, TrainingProgress
from flawsmith.core.domain.jobs import JobState
from flawsmith.core.live.connections import connect
from flawsmith.core.live.job_repository import JobRepository
from flawsmith.core.settings import Settings
from flawsmith.core.store.artifacts import ArtifactStore

T = TypeVar("T")

PAGE = 50  # items, by default
MAX_RATIO = 2.0  # of the p50 with many to that with few
WRITERS = 8  # threads that publish, as each waits for the disk
MAX_SECONDS = 300.0  # of one measurement
SMALL = {"resolution": 32, "generator_depth": 1, "latent_size": 1}  # generators that only make the list longer
TOTAL_STEPS = 128


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--models", type=int, default=200)
    options.add_argument("--versions", type=int, default=50, help="of each model")
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--requests", type=int, default=100, help="of each call in a round")
    given = options.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, flawsmith(Path(folder) / "flawsmith") as service:
        catalogue = Catalogue(service, Path(folder))
        service.upload("steel", noise_archive(5))
        catalogue.fill(PAGE, 1, PAGE)
        few = catalogue.measure(given.rounds, given.requests)
        catalogue.fill(given.models, given.versions, given.jobs)
        many = catalogue.measure(given.rounds, given.requests)
    print(f"{'p50, ms':<40}{'few':>9}{'many':>9}{'times':>8}")
    for name, before in few.items():
        print(f"{name:<40}{1000 * before:9.2f}{1000 * many[name]:9.2f}{many[name] / before:8.2f}")
    sys.exit(any(many[name] > MAX_RATIO * before for name, before in few.items()))


class Catalogue:
    """Fills the lists of a service, and measures its calls."""

    def __init__(self, service: LocalService, folder: Path) -> None:
        self.service = service
        self.small = article_config(**SMALL)
        self.weights = save_weights(folder, self.small)
        redis, store = connect(Settings(data_dir=service.data_dir)), ArtifactStore(service.data_dir / "artifacts")
        self.jobs = JobRepository(redis, store, [KIND])
        self.finished = 0
        self.models: list[str] = []

    def fill(self, models: int, versions: int, jobs: int) -> None:
        """Adds models, versions and finished jobs up to these numbers; every model gets at least one version."""
        begun = time.monotonic()
        self.models += [f"model-{number:04d}" for number in range(len(self.models), models)]
        _concurrently(lambda name: self._publish_up_to(name, versions), self.models)
        _concurrently(lambda number: self._finish(self.models[number % models]), range(self.finished, jobs))
        self.finished = jobs
        print(
            f"{models} models, {models * versions} versions, {jobs} jobs: {time.monotonic() - begun:.0f} s", flush=True
        )

    def _publish_up_to(self, name: str, versions: int) -> None:
        while publish(self.service.data_dir, name, self.weights, self.small).version < versions:
            continue

    def _finish(self, model: str) -> None:
        config = {**self.small, "total_steps": TOTAL_STEPS}
        progress = TrainingProgress(total_steps=TOTAL_STEPS)
        fields = {"model": model, "dataset": "ds-none", "preset": "dcgan"}
        job = self.jobs.create(KIND.new_job(config=config, progress=progress, **fields))
        with self.jobs.lease(job.id) as lease:
            if lease is None or self.jobs.begin(lease, "benchmark") is None:
                raise RuntimeError(f"{job.id} was taken by another worker")
            self.jobs.finish(lease, JobState.SUCCEEDED, f"published {model}@1", produced=f"{model}@1")

    def measure(self, rounds: int, requests: int) -> dict[str, float]:
        """The p50 of each call, in seconds."""
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, load in self._calls().items():
                if "generate" in name:
                    run_apart(replace(load, seconds=1.0))
                    wait_until_pool_is_full(self.service, self.models[0])
                outcome = run_apart(replace(load, requests=requests, seconds=MAX_SECONDS))
                if outcome.answers() < requests:
                    raise RuntimeError(
                        f"{name}: {requests - outcome.answers()} of {requests} answers did not have status 200"
                    )
                found.setdefault(name, []).append(outcome.latency(0.5))
        return {name: statistics.median(each) for name, each in found.items()}

    def _calls(self) -> dict[str, Load]:
        paths = [
            "/models",
            f"/models/{self.models[0]}",
            "/datasets",
            "/training-jobs",
            "/training-jobs?state=succeeded",
        ]
        return {"POST /generate": one_image(self.service, self.models[0])} | {
            f"GET {path}": Load(url(self.service, path)) for path in paths
        }


def _concurrently(work: Callable[[T], None], each: Iterable[T]) -> None:
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(work, each))


if __name__ == "__main__":
    main()
