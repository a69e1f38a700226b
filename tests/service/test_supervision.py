"""`flawsmith serve`: parts that die come back, nothing that was finished is lost, and nothing is left behind."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import Service, photograph, start_service, stop_service, until, zipped

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.worker.checkpoints import newest_checkpoint, save_checkpoint

PARTS = [("api",), ("worker", "train"), ("worker", "sample"), ("redis",)]


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of this module's own, with one trained model."""
    service = start_service(tmp_path_factory.mktemp("mortal"))
    service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(4)}))
    assert service.train("set", "model")["state"] == "succeeded"
    yield service
    stop_service(service)


def finished_things(service: Service) -> list[object]:
    return [service.client.get(path).json() for path in ("/datasets", "/models", "/training-jobs?state=succeeded")]


@pytest.mark.parametrize("part", PARTS, ids=" ".join)
def test_a_killed_part_is_back_within_15_seconds_and_nothing_is_lost(mortal: Service, part: tuple[str, ...]) -> None:
    before, image = finished_things(mortal), mortal.client.post("/generate", json={"model": "model", "seed": 1}).content
    pid = until(lambda: mortal.pid(*part), 10, f"{part} runs")
    os.kill(pid, signal.SIGKILL)
    until(lambda: mortal.pid(*part) not in (None, pid) and mortal.ready(), 15, "the service is whole again")
    until(
        lambda: mortal.client.post("/generate", json={"model": "model", "seed": 1}).content == image, 15, "it generates"
    )
    assert finished_things(mortal) == before
    assert f"{part[-1]} ended (killed by SIGKILL)" in mortal.log.read_text()


def test_a_wiped_redis_costs_nothing_that_was_finished(mortal: Service) -> None:
    before = finished_things(mortal)
    seeds = {int(mortal.client.post("/generate", json={"model": "model"}).headers["x-seed"]) for _ in range(3)}
    mortal.redis.flushall()
    until(mortal.ready, 15, "the workers are known again")
    assert finished_things(mortal) == before
    assert int(mortal.client.post("/generate", json={"model": "model"}).headers["x-seed"]) > max(seeds)


WILD = {"dataset": "wild", "preset": "dcgan", "resolution": 32, "steps": 100_000, "overrides": {"batch_size": 2}}


def gone_wild(service: Service, model: str, networks: tuple[str, ...]) -> tuple[str, int]:
    """A job whose newest checkpoint has weights that are NaN in these networks, resumed; and that checkpoint's step.

    Bounded rates hardly diverge on so small a net: this stands for a run that did.
    """
    service.upload("wild", zipped({f"{i}.png": photograph(600 + i) for i in range(4)}))
    job = service.client.post("/training-jobs", json={**WILD, "model": model}).json()["id"]
    until(lambda: service.client.get(f"/training-jobs/{job}").json()["progress"]["step"], 30, "the job trains")
    service.client.post(f"/training-jobs/{job}/cancel")
    store = ArtifactStore(service.data_dir / "artifacts")
    folder = store.path("jobs", job, "checkpoints")
    until(lambda: not service.has_lease(job), 10, "the worker has kept a checkpoint, and left the job")
    run = json.loads(max(folder.glob("*/checkpoint.json")).read_text())["run"]
    kept = newest_checkpoint(store, job, run)
    assert kept is not None
    for each in networks:
        kept.state[f"{each}.layers.0.weight"].fill_(torch.nan)
    store.delete(folder)
    save_checkpoint(store, store.claim(folder.parent / "claims"), job, kept)
    os.kill(until(lambda: service.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)  # it has the run hot
    service.client.post(f"/training-jobs/{job}/resume")
    return job, kept.step


def test_a_run_whose_losses_are_no_numbers_goes_back_to_its_best_and_says_so(mortal: Service) -> None:
    job, step = gone_wild(mortal, "mended", ("generator",))

    def gone_on() -> dict[str, Any] | None:
        record: dict[str, Any] = mortal.client.get(f"/training-jobs/{job}").json()
        return record if record["progress"]["step"] > step + 40 else None

    record = until(gone_on, 30, "the job trains on")
    assert record["state"] == "running"
    assert record["health"]["state"] == "warning"
    (words,) = [each for each in record["health"]["reasons"] if "NaN or infinite" in each]
    (found,) = re.findall(r"at step (\d+): went back", words)
    assert step < int(found) <= step + 20
    mortal.client.post(f"/training-jobs/{job}/cancel")


def test_a_run_that_cannot_be_mended_fails_with_the_step_and_what_to_try(mortal: Service) -> None:
    job, step = gone_wild(mortal, "lost", ("generator", "best.generator"))
    ended = mortal.ended(job)
    assert ended["state"] == "failed"
    found = re.search(r"NaN or infinite at step (\d+) after going back 2 times; .* in its checkpoints", ended["error"])
    assert found is not None
    assert step < int(found[1]) <= step + 60
    assert "Lower the learning rates" in ended["error"]


def test_a_running_job_outlives_its_worker_and_a_wipe(mortal: Service) -> None:
    body = {"dataset": "set", "model": "long", "resolution": 32, "steps": 1_000_000, "overrides": {"batch_size": 2}}
    path = f"/training-jobs/{mortal.client.post('/training-jobs', json=body).json()['id']}"

    def trained_by() -> str | None:
        job = mortal.client.get(path).json()
        return job["worker"] if job["progress"]["step"] else None

    first = until(trained_by, 30, "the job trains")
    os.kill(until(lambda: mortal.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
    until(lambda: trained_by() not in (None, first), 30, "another worker trains it")
    mortal.redis.flushall()
    until(trained_by, 30, "the job is found again and trains")
    assert mortal.client.post(f"{path}/cancel").status_code == 202


def test_readyz_names_what_is_missing(mortal: Service) -> None:
    until(mortal.ready, 15, "nothing is missing")
    pid = until(lambda: mortal.pid("worker", "sample"), 10, "the worker runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        missing = until(lambda: mortal.client.get("/readyz").json()["missing"], 15, "the stopped worker is missed")
        assert missing == ["no live worker for queue 'sample'"]
        answer = mortal.client.post("/generate", json={"model": "model", "seed": 4711})  # stock needs no worker
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:flawsmith:unavailable")
        assert int(answer.headers["retry-after"]) > 0
    finally:
        os.kill(pid, signal.SIGCONT)
    until(mortal.ready, 15, "the worker is heard of again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_ended_service_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    service = start_service(tmp_path)
    parts = service.descendants()
    assert len(parts) >= 4
    service.process.send_signal(number)
    assert service.process.wait(30) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    until(lambda: not any(_runs(pid) for pid in parts), 20, "all parts are gone")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_starts_in_a_folder_with_an_app_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise ValueError('not this one')")
    stop_service(start_service(tmp_path))


def test_two_services_run_side_by_side_but_not_in_one_folder(mortal: Service, tmp_path: Path) -> None:
    other = start_service(tmp_path)
    assert other.client.get("/datasets").json()["items"] == []
    stop_service(other)
    environment = {**os.environ, "FLAWSMITH_DATA_DIR": str(mortal.data_dir), "FLAWSMITH_PORT": "0"}
    again = subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", "serve"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert again.returncode == 1
    assert "another service runs in" in again.stdout


def test_a_wrong_setting_is_told_in_words() -> None:
    environment = {**os.environ, "FLAWSMITH_PORT": "http"}
    done = subprocess.run(
        [sys.executable, "-m", "flawsmith.cli.main", "serve"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "FLAWSMITH_PORT: Input should be a valid integer" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_keys_every_call_needs_one_of_enough_scope(tmp_path: Path) -> None:
    service = start_service(tmp_path, api_keys="g:generate,t:train,a,m:metrics")
    try:

        def status(method: str, path: str, key: str | None) -> int:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return service.client.request(method, path, headers=headers).status_code

        assert status("GET", "/healthz", None) == status("GET", "/readyz", None) == 200
        for path in ("/models", "/datasets", "/metrics", "/docs", "/openapi.json", "/nowhere"):
            assert status("GET", path, None) == 401, path
            assert status("GET", path, "wrong") == 401, path
        assert status("GET", "/models", "g") == status("GET", "/datasets", "t") == status("GET", "/metrics", "m") == 200
        assert status("GET", "/datasets", "g") == status("GET", "/models", "m") == status("GET", "/metrics", "t") == 403
        assert status("DELETE", "/datasets/x", "t") == 403
        assert status("DELETE", "/datasets/x", "a") == 404
        answer = service.client.get("/models")
        assert answer.headers["www-authenticate"] == "Bearer"
    finally:
        stop_service(service)
