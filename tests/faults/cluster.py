"""A service with several training workers, whose processes a test can kill, pause and restart."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.conftest import Service, stop_service, until

BUSY_SECONDS = 240.0  # in which a busy machine does what a quiet one does in seconds
ENDED = ("succeeded", "failed", "cancelled")
JOB: dict[str, Any] = {
    "dataset": "steel",
    "preset": "dcgan",
    "resolution": 32,
    "overrides": {"generator_depth": 8, "discriminator_depth": 8, "batch_size": 8},
}


@dataclass
class Cluster:
    """A service, further training workers, and the number of steps that a job trains unless a test says otherwise."""

    service: Service
    steps: int
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stopped: bool = False

    def add_worker(self, *prefix: str, **settings: str) -> subprocess.Popen[bytes]:
        """Starts a further training worker; ``prefix`` precedes its command, such as ``ip netns exec NAME``."""
        environment = self.service.environment | {f"FLAWSMITH_{name.upper()}": text for name, text in settings.items()}
        with self.worker_log(len(self.workers)).open("ab") as output:
            worker = subprocess.Popen(
                [*prefix, sys.executable, "-m", "flawsmith.cli.main", "worker", "train"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self.workers.append(worker)
        return worker

    def worker_log(self, number: int) -> Path:
        return self.service.data_dir / f"worker-{number}.log"

    def logs(self) -> list[str]:
        """The log of the service, and those of the further workers."""
        return [self.service.log.read_text(), *(self.worker_log(n).read_text() for n in range(len(self.workers)))]

    def submit(self, model: str, **body: Any) -> str:
        """Submits `JOB` for a model, with changes; returns the id of the job."""
        answer = self.service.client.post("/training-jobs", json={**JOB, "steps": self.steps, "model": model, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job: str) -> dict[str, Any]:
        return dict(self.service.client.get(f"/training-jobs/{job}").raise_for_status().json())

    def jobs(self) -> list[dict[str, Any]]:
        """The newest jobs, at most 100."""
        return list(self.service.client.get("/training-jobs", params={"limit": 100}).json()["items"])

    def resume(self, job: str) -> None:
        assert self.service.client.post(f"/training-jobs/{job}/resume").status_code == 202

    def training_pid(self, job: str) -> int | None:
        """The live process that trains the job now; None if there is none."""
        record = self.job(job)
        if record["state"] != "running" or not self.service.has_lease(job):
            return None
        pid = int(record["worker"].rpartition("-")[2])
        return pid if Path(f"/proc/{pid}").exists() else None

    def wait_for_worker(self, job: str) -> int:
        """Waits until a worker trains the job; returns its process."""
        return int(until(lambda: self.training_pid(job), BUSY_SECONDS, f"a worker trains {job}"))

    def wait_for_takeover(self, job: str, pid: int, seconds: float) -> int:
        """Waits until another process than ``pid`` trains the job; returns it."""

        def other() -> int | None:
            found = self.training_pid(job)
            return found if found != pid else None

        return int(until(other, seconds, f"another worker than {pid} trains {job}"))

    def wait_for_progress(self, job: str, pid: int, seconds: float) -> None:
        """Waits until another process than ``pid`` trains the job and has made progress."""
        self.wait_for_takeover(job, pid, seconds)
        before = self.job(job)["progress"]

        def moved() -> bool:
            record = self.job(job)
            return bool(record["progress"] != before or record["state"] != "running")

        until(moved, seconds, f"{job} makes progress")

    def checkpoints(self, job: str) -> list[Path]:
        """Oldest first."""
        return sorted(self.service.data_dir.glob(f"artifacts/jobs/{job}/checkpoints/*"))

    def wait_for_checkpoints(self, job: str, count: int) -> list[Path]:
        """Waits until the job has so many checkpoints; returns them, oldest first."""
        found = until(
            lambda: len(each := self.checkpoints(job)) >= count and each, BUSY_SECONDS, f"{job}: {count} checkpoints"
        )
        return list(found)

    def wait_for_end(self, job: str, seconds: float = 600) -> dict[str, Any]:
        """Waits until the job ends in any state; returns its record."""
        return dict(until(lambda: (now := self.job(job))["state"] in ENDED and now, seconds, f"{job} ends"))

    def wait_for_success(self, job: str) -> dict[str, Any]:
        """Waits until the job has succeeded; returns its record."""
        record = self.wait_for_end(job)
        assert record["state"] == "succeeded", record
        return record

    def outcome(self, job: str) -> tuple[str, str]:
        """The digest of the published weights, and the history: equal for jobs of the same configuration."""
        model, _, version = self.wait_for_success(job)["produced"].partition("@")
        card, history = self._read(f"/models/{model}/versions/{version}"), self._read(f"/training-jobs/{job}/history")
        return card.json()["weights_sha256"], history.text

    def _read(self, path: str) -> httpx2.Response:
        """The answer of a GET, once it succeeds: the store may be away for a moment."""

        def found() -> httpx2.Response | None:
            answer = self.service.client.get(path)
            return answer if answer.is_success else None

        answer = until(found, 30, f"{path} is answered")
        assert isinstance(answer, httpx2.Response)
        return answer

    def end_worker(self, pid: int, signal_number: int = signal.SIGKILL) -> None:
        """Ends a training worker by a signal and restarts it, as `serve` restarts its own."""
        os.kill(pid, signal_number)
        for number, worker in enumerate(self.workers):
            if worker.pid == pid:
                worker.wait(20)
                with self.worker_log(number).open("ab") as output:
                    self.workers[number] = subprocess.Popen(
                        worker.args, stdout=output, stderr=subprocess.STDOUT, env=self.service.environment
                    )
        until(lambda: not Path(f"/proc/{pid}").exists(), 20, f"{pid} has ended")

    def training_pids(self) -> list[int]:
        """The processes of all training workers."""
        own = self.service.pid("worker", "train")
        return [*([own] if own else []), *(worker.pid for worker in self.workers)]

    def live_workers(self) -> int:
        """How many training workers the service counts as live."""
        metrics = self.service.client.get("/metrics").text
        found = re.findall(r'flawsmith_workers\{queue="train",state="(?:busy|idle)"\} (\d+)', metrics)
        assert len(found) == 2
        return sum(map(int, found))

    def stop(self) -> None:
        """Stops workers and service; a second call does nothing."""
        if self.stopped:
            return
        self.stopped = True
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(20)
        stop_service(self.service)
