"""A site whose processes are of this release and of the one before, in every mix, serves and trains.

The release before is that of a commit, which git unpacks. One site has an API process of each; its two workers are
replaced one after the other, until each mix was there. A job is under way while the training worker is replaced.
"""

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from flawsmith.core.live import keys
from tests.conftest import SMALL_JOB, free_port, photograph, until, zipped

BEFORE = "0234834"
ROOT = Path(__file__).parents[2]
PARTS = ("app", "cli", "client", "core", "docs", "models", "src", "worker")
LONG = {**SMALL_JOB, "steps": 100_000}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the release before."""
    folder = tmp_path_factory.mktemp("before")
    command = ["git", "-C", str(ROOT), "archive", BEFORE, *PARTS]
    try:
        made = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is missing, and the release before this one comes from its history")
    if made.returncode:
        pytest.skip(f"commit {BEFORE} is not in git's history here ({made.stderr.decode().strip()}); fetch all of it")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@dataclass
class Site:
    """Processes of both releases on one data folder and one Redis."""

    data_dir: Path
    trees: dict[str, Path]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, release: str, *part: str, port: int = 0) -> str:
        """Starts a part of the service in a release; returns the name under which it is stopped."""
        environment = {name: each for name, each in os.environ.items() if not name.startswith("FLAWSMITH_")}
        environment |= {
            "PYTHONPATH": str(self.trees[release] / "src"),
            "FLAWSMITH_DATA_DIR": str(self.data_dir),
            "FLAWSMITH_PORT": str(port),
            "FLAWSMITH_THREADS": "1",
            "FLAWSMITH_DEVICE": "cpu",
            "FLAWSMITH_REPORTS": "false",
        }
        name = " ".join([release, *part])
        with (self.data_dir / "log").open("ab") as log:
            command = [sys.executable, "-m", "flawsmith.cli.main", *part]
            self.processes[name] = subprocess.Popen(
                command, env=environment, cwd=self.data_dir, stdout=log, stderr=subprocess.STDOUT
            )
        return name

    def is_live(self, queue: str, name: str) -> bool:
        """Whether a worker that `start` named has sent a heartbeat."""
        with redis.Redis(unix_socket_path=str(self.data_dir / "redis" / "redis.sock")) as client:
            live = [each.decode() for each in client.hkeys(keys.workers(queue))]
        return any(each.endswith(f"-{self.processes[name].pid}") for each in live)

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture
def site(before: Path, tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path, {"before": before, "now": ROOT})
    yield found
    for name in reversed([*found.processes]):
        found.stop(name)


def image(client: httpx2.Client, version: str) -> bytes:
    answer = client.post("/generate", json={"model": version, "seed": 7, "count": 1, "format": "png"})
    assert answer.status_code == 200, answer.text
    return answer.content


def new_seeds(client: httpx2.Client, version: str) -> list[int]:
    answer = client.post(
        "/generate?data=false", json={"model": version, "count": 4}, headers={"Accept": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    return [each["seed"] for each in answer.json()["images"]]


def record(client: httpx2.Client, job: str) -> Any:
    return client.get(f"/training-jobs/{job}").json()


def ended(client: httpx2.Client, job: str) -> Callable[[], Any]:
    return lambda: record(client, job)["state"] not in ("queued", "running") and record(client, job)


def submit(client: httpx2.Client, **body: Any) -> str:
    answer = client.post("/training-jobs", json={"dataset": "pits", "model": "m", **SMALL_JOB, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.mark.history
def test_every_mix_of_two_releases_serves_and_trains(site: Site) -> None:
    site.start("before", "redis")
    until((site.data_dir / "redis" / "redis.sock").exists, 20, "Redis listens")
    clients = {}
    for release in site.trees:
        port = free_port()
        site.start(release, "api", port=port)
        clients[release] = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
    workers = {part: site.start("before", "worker", part) for part in ("train", "sample")}
    until(lambda: all(each.get("/readyz").status_code == 200 for each in clients.values()), 60, "both APIs are ready")
    has_bundles = {
        name: "/models/import" in each.get("/openapi.json").json()["paths"] for name, each in clients.items()
    }
    assert has_bundles == {"before": False, "now": True}
    files = {f"pits/{number}.png": photograph(number) for number in range(5)}
    uploaded = clients["before"].post("/datasets", data={"name": "pits"}, files={"archive": zipped(files)})
    assert uploaded.status_code == 201

    def replace(part: str, release: str) -> None:
        """Replaces a worker. A job that trains meanwhile goes on in the other release."""
        other = clients["now" if release == "before" else "before"]
        job = submit(other, **LONG) if part == "train" else None
        name = site.start(release, "worker", part)
        if job:
            until(lambda: record(other, job)["checkpoint_step"], 60, "the job saves a checkpoint")
        until(lambda: site.is_live(part, name), 60, "the new worker is live")
        site.stop(workers[part])
        workers[part] = name
        if job:
            step = record(other, job)["progress"]["step"]
            until(
                lambda: record(other, job)["progress"]["step"] > step, 60, f"release '{release}' goes on with the job"
            )
            assert other.post(f"/training-jobs/{job}/cancel").status_code == 202
            assert record(other, job)["failures"]["errors"] == 0

    for train, sample in (("before", "before"), ("now", "before"), ("now", "now"), ("before", "now")):
        for part, release in (("train", train), ("sample", sample)):
            if not workers[part].startswith(release):
                replace(part, release)
        jobs = {name: submit(client) for name, client in clients.items()}
        for name, job in jobs.items():
            done = until(ended(clients[name], job), 60, f"the job from API '{name}' ends")
            assert done["state"] == "succeeded", done
            versions = [image(each, done["produced"]) for each in clients.values()]
            assert versions[0] == versions[1]
            seeds = [each for client in clients.values() for each in new_seeds(client, done["produced"])]
            assert len({*seeds}) == 8
    listed = [[each["id"] for each in client.get("/training-jobs").json()["items"]] for client in clients.values()]
    assert listed[0] == listed[1] and len(listed[0]) == 4 * 2 + 2
