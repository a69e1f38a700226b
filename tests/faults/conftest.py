"""A service with two training workers, the run that nothing disturbs, and what the faults have in common."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from flawsmith.core.domain.presets.dcgan import DcganOverrides
from flawsmith.models.presets.registry import build_trainer
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

SECONDS, SECONDS_IN_FULL = 12.0, 60.0  # that a job trains where nothing disturbs it, or longer
JOB: dict[str, Any] = {
    "dataset": "steel",
    "preset": "dcgan",
    "resolution": 32,
    "overrides": {"generator_depth": 8, "discriminator_depth": 8, "batch_size": 8},
}


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether every fault is to take its full time."""
    return bool(request.config.getoption("--full-faults"))


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a figure past pytest's capture."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {text}")

    return say


@dataclass
class Site:
    """A service, and training workers beside the service's own."""

    service: Service
    steps: int
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self, *before: str, **settings: str) -> subprocess.Popen[bytes]:
        """One more training worker; ``before`` stands before its command, such as ``ip netns exec NAME``."""
        environment = self.service.environment | {f"FLAWSMITH_{name.upper()}": text for name, text in settings.items()}
        with self.log(len(self.workers)).open("ab") as output:
            worker = subprocess.Popen(
                [*before, sys.executable, "-m", "flawsmith.cli.main", "worker", "train"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self.workers.append(worker)
        return worker

    def log(self, number: int) -> Path:
        return self.service.data_dir / f"worker-{number}.log"

    def logs(self) -> list[str]:
        """The log of the service, and of each worker beside it."""
        return [self.service.log.read_text(), *(self.log(n).read_text() for n in range(len(self.workers)))]

    def submit(self, model: str, **body: Any) -> str:
        answer = self.service.client.post("/training-jobs", json={**JOB, "steps": self.steps, "model": model, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job: str) -> dict[str, Any]:
        return dict(self.service.client.get(f"/training-jobs/{job}").raise_for_status().json())

    def holder(self, job: str) -> int | None:
        """The live process that trains the job now, where one does."""
        record = self.job(job)
        if record["state"] != "running" or not self.service.in_hand(job):
            return None
        pid = int(record["worker"].rpartition("-")[2])
        return pid if Path(f"/proc/{pid}").exists() else None

    def taken_over(self, job: str, pid: int, seconds: float) -> int:
        """The process that has the job instead of this one."""

        def another() -> int | None:
            holder = self.holder(job)
            return holder if holder != pid else None

        return int(until(another, seconds, f"another worker than {pid} has {job}"))

    def resumed(self, job: str, pid: int, seconds: float) -> None:
        """Another process than this one has the job, and has trained."""
        self.taken_over(job, pid, seconds)
        before = self.job(job)["progress"]

        def moved() -> bool:
            record = self.job(job)
            return bool(record["progress"] != before or record["state"] != "running")

        until(moved, seconds, f"{job} goes on")

    def checkpoints(self, job: str) -> list[Path]:
        """Oldest first."""
        return sorted(self.service.data_dir.glob(f"artifacts/jobs/{job}/checkpoints/*"))

    def saved(self, job: str, count: int) -> list[Path]:
        """The job's checkpoints, as soon as it has so many."""
        return list(
            until(lambda: len(found := self.checkpoints(job)) >= count and found, 60, f"{job} has {count} checkpoints")
        )

    def trained(self, job: str, seconds: float = 180) -> dict[str, Any]:
        """The job's record when it has succeeded."""

        def over() -> dict[str, Any] | None:
            record = self.job(job)
            return record if record["state"] in ("succeeded", "failed", "cancelled") else None

        record = dict(until(over, seconds, f"{job} ends"))
        assert record["state"] == "succeeded", record
        return record

    def outcome(self, job: str) -> tuple[str, str]:
        """What two runs of the same configuration must have in common, to the byte: weights and history."""
        model, _, version = self.trained(job)["produced"].partition("@")
        card = self.service.client.get(f"/models/{model}/versions/{version}").json()
        return card["weights_sha256"], self.service.client.get(f"/training-jobs/{job}/history").text

    def end(self, pid: int, signal_number: int = signal.SIGKILL) -> None:
        """Ends a worker by a signal; one of this site is started again, as `serve` does with its own."""
        os.kill(pid, signal_number)
        for number, worker in enumerate(self.workers):
            if worker.pid == pid:
                worker.wait(20)
                with self.log(number).open("ab") as output:
                    self.workers[number] = subprocess.Popen(
                        worker.args, stdout=output, stderr=subprocess.STDOUT, env=self.service.environment
                    )
        until(lambda: not Path(f"/proc/{pid}").exists(), 20, f"{pid} is gone")

    def training_pids(self) -> list[int]:
        """All its training workers."""
        own = self.service.pid("worker", "train")
        return [*([own] if own else []), *(worker.pid for worker in self.workers)]

    def refused(self, job: str) -> int:
        """How often a worker found that it had lost the job, and left it."""
        return sum(len(re.findall(rf"{job}.* leaving it", log)) for log in self.logs())

    def live_workers(self) -> int:
        return int(
            re.search(r'flawsmith_live_workers\{queue="train"\} (\d+)', self.service.client.get("/metrics").text)[1]  # type: ignore[index]
        )

    def stop(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(20)
        stop_service(self.service)


@lru_cache
def steps_in(seconds: float) -> int:
    """How many steps of `JOB` this machine makes in so many seconds: a job is to last until it is disturbed."""
    side = int(JOB["resolution"])
    numbers = {**DcganOverrides(**JOB["overrides"]).model_dump(), "resolution": side, "channels": 1, "seed": 0}
    photographs, types = torch.zeros(40, 1, side, side, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64)
    run = build_trainer("dcgan", numbers, photographs, types, 1, torch.device("cpu"))
    begun = time.monotonic()
    while time.monotonic() - begun < 1:
        run.step(0.5)
    return int(seconds * run.completed_steps)


def start_site(data_dir: Path, full: bool, workers: int = 2, **settings: str) -> Site:
    """A site with that many training workers and the dataset ``steel``."""
    service = start_service(data_dir, **{"segment_seconds": "3", **settings})
    site = Site(service, steps_in(SECONDS_IN_FULL if full else SECONDS))
    site.service.upload("steel", zipped({f"{i}.png": photograph(3000 + i) for i in range(40)}))
    for _ in range(workers - 1):
        site.add_worker()
    until(lambda: site.live_workers() == workers, 30, "all workers are there")
    return site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, full: bool) -> Iterator[Site]:
    """For faults that leave it whole."""
    running = start_site(tmp_path_factory.mktemp("faults"), full)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def undisturbed(site: Site) -> tuple[str, str]:
    """Weights and history of the run that nothing disturbs."""
    return site.outcome(site.submit("undisturbed"))


def contents(site: Site, job: str, model: str) -> dict[str, str]:
    """The digest of every file that a job has published."""
    artifacts = site.service.data_dir / "artifacts"
    roots = [
        artifacts / "jobs" / job / "checkpoints",
        artifacts / "jobs" / job / "samples",
        artifacts / "models" / model,
    ]
    files = [file for root in roots for file in root.rglob("*") if file.is_file()]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def held_by_one_at_a_time(site: Site, job: str) -> None:
    """Of the workers' logs: nobody saved a checkpoint of the job after another one had claimed it."""
    lines = []
    for source, text in enumerate(site.logs()):
        for when, what in re.findall(rf"^(?:train +\| )?(\S+ \S+) .*job {job}: (claim|checkpoint at step)", text, re.M):
            lines.append((when, source, what))
    assert any(what == "claim" for _, _, what in lines), "the logs tell of no claim"
    holder = None
    for when, source, what in sorted(lines):
        if what == "claim":
            holder = source
        assert source == holder, f"{when}: a checkpoint by a worker that had lost the job"
