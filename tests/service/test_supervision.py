"""`flawsmith serve` restarts its parts, loses no finished work, and leaves no process behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.worker.checkpoints import newest_checkpoint, save_checkpoint

PARTS = [("api",), ("worker", "train"), ("worker", "sample"), ("redis",)]


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that only this module uses, and whose parts its tests kill; it has one trained model."""
    folder = tmp_path_factory.mktemp("killable")
    (folder / "app.py").write_text("raise ValueError('a module of this name disturbs no part of the service')")
    service = start_service(folder)
    service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(4)}))
    assert service.train("set", "model")["state"] == "succeeded"
    yield service
    stop_service(service)


def finished_work(service: Service) -> list[object]:
    return [service.client.get(path).json() for path in ("/datasets", "/models", "/training-jobs?state=succeeded")]


@pytest.mark.parametrize("part", PARTS, ids=" ".join)
def test_a_killed_part_is_back_within_15_seconds_and_nothing_is_lost(killable: Service, part: tuple[str, ...]) -> None:
    before, image = (
        finished_work(killable),
        killable.client.post("/generate", json={"model": "model@1", "seed": 1}).content,
    )
    pid = until(lambda: killable.pid(*part), 10, f"{part} runs")
    os.kill(pid, signal.SIGKILL)
    until(lambda: killable.pid(*part) not in (None, pid) and killable.ready(), 15, "the service is ready again")
    until(
        lambda: killable.client.post("/generate", json={"model": "model@1", "seed": 1}).content == image,
        15,
        "it generates the same image",
    )
    assert finished_work(killable) == before
    assert f"{part[-1]} ended (killed by SIGKILL)" in killable.log.read_text()


def test_a_wiped_redis_loses_no_finished_work_and_repeats_no_seed(killable: Service) -> None:
    before = finished_work(killable)
    until(lambda: killable.client.post("/generate", json={"model": "model@1"}).is_success, 15, "it generates")
    seeds = {int(killable.client.post("/generate", json={"model": "model@1"}).headers["x-seed"]) for _ in range(3)}
    killable.redis.flushall()
    until(killable.ready, 15, "the workers have registered again")
    assert finished_work(killable) == before
    assert int(killable.client.post("/generate", json={"model": "model@1"}).headers["x-seed"]) > max(seeds)


DIVERGING = {
    "dataset": "diverging",
    "preset": "dcgan",
    "resolution": 32,
    "steps": 100_000,
    "overrides": {"batch_size": 2},
}


def resume_from_nan(service: Service, model: str, networks: tuple[str, ...]) -> tuple[str, int]:
    """Resumes a job from a checkpoint whose weights are NaN in these networks; returns the job and the step.

    It stands for a run that diverged: a network this small hardly diverges by itself.
    """
    service.upload("diverging", zipped({f"{i}.png": photograph(600 + i) for i in range(4)}))
    job = service.client.post("/training-jobs", json={**DIVERGING, "model": model}).json()["id"]
    until(lambda: service.client.get(f"/training-jobs/{job}").json()["progress"]["step"], 30, "the job trains")
    service.client.post(f"/training-jobs/{job}/cancel")
    store = ArtifactStore(service.data_dir / "artifacts")
    folder = store.path("jobs", job, "checkpoints")
    until(lambda: not service.has_lease(job), 10, "the worker has saved a checkpoint and released the job")
    run = json.loads(max(folder.glob("*/checkpoint.json")).read_text())["run"]
    kept = newest_checkpoint(store, job, run)
    assert kept is not None
    for each in networks:
        kept.state[f"{each}.layers.0.weight"].fill_(torch.nan)
    store.delete(folder)
    save_checkpoint(store, store.claim(folder.parent / "claims"), job, kept)
    os.kill(
        until(lambda: service.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL
    )  # it has the run in memory
    service.client.post(f"/training-jobs/{job}/resume")
    return job, kept.step


def test_a_run_with_nan_losses_is_rolled_back_to_its_best_weights_and_reports_it(killable: Service) -> None:
    job, step = resume_from_nan(killable, "rolled-back", ("generator",))

    def trained_on() -> dict[str, Any] | None:
        record: dict[str, Any] = killable.client.get(f"/training-jobs/{job}").json()
        return record if record["progress"]["step"] > step + 40 else None

    record = until(trained_on, 30, "the job trains on")
    assert record["state"] == "running"
    assert record["health"]["state"] == "warning"
    (words,) = [each for each in record["health"]["reasons"] if "NaN or infinite" in each]
    (found,) = re.findall(r"at step (\d+): went back", words)
    assert step < int(found) <= step + 20
    killable.client.post(f"/training-jobs/{job}/cancel")


def test_a_run_that_stays_nan_fails_with_the_step_and_advice(killable: Service) -> None:
    job, step = resume_from_nan(killable, "lost", ("generator", "best.generator"))
    ended = killable.ended(job)
    assert ended["state"] == "failed"
    found = re.search(r"NaN or infinite at step (\d+) after going back 2 times; .* in its checkpoints", ended["error"])
    assert found is not None
    assert step < int(found[1]) <= step + 60
    assert "Lower the learning rates" in ended["error"]


def test_a_running_job_survives_the_loss_of_its_worker_and_of_redis(killable: Service) -> None:
    body = {"dataset": "set", "model": "long", "resolution": 32, "steps": 1_000_000, "overrides": {"batch_size": 2}}
    path = f"/training-jobs/{killable.client.post('/training-jobs', json=body).json()['id']}"

    def trained_by() -> str | None:
        job = killable.client.get(path).json()
        return job["worker"] if job["progress"]["step"] else None

    first = until(trained_by, 30, "the job trains")
    os.kill(until(lambda: killable.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
    until(lambda: trained_by() not in (None, first), 30, "another worker trains it")
    killable.redis.flushall()
    until(trained_by, 30, "the job is restored and trains")
    assert killable.client.post(f"{path}/cancel").status_code == 202


def test_readyz_names_the_missing_parts(killable: Service) -> None:
    until(killable.ready, 15, "the service is ready")
    pid = until(lambda: killable.pid("worker", "sample"), 10, "the worker runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        missing = until(lambda: killable.client.get("/readyz").json()["missing"], 15, "the stopped worker is missing")
        assert "no live worker for queue 'sample'" in missing
        answer = killable.client.post(
            "/generate", json={"model": "model@1", "seed": 4711}
        )  # no worker, no image outside the pool
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:flawsmith:unavailable")
        assert int(answer.headers["retry-after"]) > 0
    finally:
        os.kill(pid, signal.SIGCONT)
    until(killable.ready, 15, "the worker has registered again")


def test_a_worker_is_ready_only_while_its_heartbeats_reach_redis(killable: Service) -> None:
    until(killable.ready, 15, "the service is ready")
    workers = [f"http://{each['targets'][0]}" for each in killable.client.get("/metrics/targets").json()]
    assert len(workers) == 2
    assert [httpx2.get(f"{each}/readyz", timeout=60).status_code for each in workers] == [200, 200]
    pid = until(lambda: killable.pid("redis"), 10, "Redis runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        for each in workers:
            until(lambda url=each: httpx2.get(f"{url}/readyz").status_code == 503, 20, "the worker is not ready")
            assert httpx2.get(f"{each}/healthz", timeout=60).status_code == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    for each in workers:
        until(lambda url=each: httpx2.get(f"{url}/readyz").status_code == 200, 20, "the worker is ready again")
    until(killable.ready, 30, "the service is ready again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_ended_service_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    service = start_service(tmp_path)
    parts = service.descendants()
    assert len(parts) >= 4
    service.process.send_signal(number)
    assert service.process.wait(120) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    until(lambda: not any(_runs(pid) for pid in parts), 20, "all parts are gone")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_services_run_side_by_side_but_not_in_one_folder(killable: Service, tmp_path: Path) -> None:
    other = start_service(tmp_path)
    assert other.client.get("/datasets").json()["items"] == []
    stop_service(other)
    environment = {**os.environ, "FLAWSMITH_DATA_DIR": str(killable.data_dir), "FLAWSMITH_PORT": "0"}
    again = subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert again.returncode == 1
    assert "another service runs in" in again.stdout


def test_a_wrong_setting_is_an_error_message_without_a_stack_trace() -> None:
    environment = {**os.environ, "FLAWSMITH_PORT": "http"}
    done = subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", "serve"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "FLAWSMITH_PORT: Input should be a valid integer" in done.stderr
    assert "Traceback" not in done.stderr
