"""A training job on several devices, which on the CPU are processes: killed ranks and workers, and none left behind."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.conftest import SMALL_JOB, Service, photograph, start_service, stop_service, until, zipped

MANY = 1_000_000  # steps; no test waits for so many
RANK, LAUNCHER = "flawsmith.worker.devices.rank", "flawsmith.worker.devices.launch"


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose training worker has two devices, and makes way for sampling on them."""
    service = start_service(tmp_path_factory.mktemp("two-devices"), train_devices="2", sampling_first="on")
    service.upload("set", zipped({f"{i}.png": photograph(i) for i in range(8)}))
    yield service
    stop_service(service)


def processes(service: Service, *modules: str) -> list[int]:
    """Those of the service that run one of the modules."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            of_service = str(service.data_dir).encode() in (folder / "environ").read_bytes()
        except OSError:
            continue
        if of_service and set(modules) & set(words):
            found.append(int(folder.name))
    return found


def submit(service: Service, model: str, **body: Any) -> str:
    answer = service.client.post("/training-jobs", json={"dataset": "set", "model": model, **SMALL_JOB, **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def record(service: Service, job: str) -> dict[str, Any]:
    return dict(service.client.get(f"/training-jobs/{job}").json())


def steps_on(service: Service, job: str, devices: int, after: int = 0) -> int:
    """How far the job is, once its processes have made steps after this one."""

    def step() -> int:
        found = record(service, job)
        spread = (found["device_use"] or {}).get("used") == devices and len(processes(service, RANK)) == devices
        return int(found["progress"]["step"]) if spread and found["progress"]["step"] > after else 0

    return int(until(step, 60, f"{devices} processes make steps"))


def test_a_killed_rank_costs_an_attempt_and_nothing_else(two_devices: Service) -> None:
    job = submit(two_devices, "killed", devices=2, steps=MANY, max_seconds=8)
    step = steps_on(two_devices, job, devices=2)
    worker, ranks = two_devices.pid("worker", "train"), processes(two_devices, RANK)
    os.kill(ranks[-1], signal.SIGKILL)
    ended = two_devices.ended(job)
    assert ended["progress"]["step"] > step
    assert (ended["state"], ended["produced"], ended["stop_reason"]) == ("succeeded", "killed@1", "max_seconds")
    reasons = [each["reason"] for each in ended["transitions"]]
    assert sum("2 processes that train this job together" in reason for reason in reasons) == 1, reasons
    assert ended["device_use"] == {"asked": 2, "used": 2, "reason": None}
    assert two_devices.pid("worker", "train") == worker
    assert processes(two_devices, RANK, LAUNCHER) == []


def test_no_process_outlives_its_worker_or_its_job(two_devices: Service) -> None:
    def none_left() -> bool:
        return processes(two_devices, RANK, LAUNCHER) == []

    job = submit(two_devices, "outlived", devices=2, steps=MANY)
    step = steps_on(two_devices, job, devices=2)
    _end_worker(two_devices, signal.SIGTERM)
    until(none_left, 5, "its processes have ended")
    saved = record(two_devices, job)
    assert saved["checkpoint_step"] == saved["progress"]["step"] >= step  # it saved after its last step
    assert saved["failures"]["errors"] == saved["failures"]["lost_workers"] == 0
    step = steps_on(two_devices, job, devices=2, after=saved["checkpoint_step"])
    two_devices.client.post(f"/training-jobs/{job}/cancel")
    until(none_left, 10, "the processes of the cancelled job have ended")
    two_devices.client.post(f"/training-jobs/{job}/resume")
    steps_on(two_devices, job, devices=2, after=step)
    _end_worker(two_devices, signal.SIGKILL)
    until(none_left, 5, "the processes of the killed worker have ended")
    two_devices.client.post(f"/training-jobs/{job}/cancel")


def _end_worker(service: Service, number: signal.Signals) -> None:
    worker = service.pid("worker", "train")
    assert worker is not None
    os.kill(worker, number)
    until(lambda: not Path(f"/proc/{worker}").exists(), 10, "the worker has ended")


def test_a_job_on_one_device_starts_no_process(two_devices: Service) -> None:
    job = submit(two_devices, "alone", steps=MANY)
    until(lambda: record(two_devices, job)["progress"]["step"], 20, "it runs")
    assert processes(two_devices, RANK, LAUNCHER) == []
    assert record(two_devices, job)["device_use"] is None
    two_devices.client.post(f"/training-jobs/{job}/cancel")


def test_while_a_job_trains_on_the_devices_images_come_first_and_it_goes_on(two_devices: Service) -> None:
    assert two_devices.train("set", "served")["produced"] == "served@1"
    job = submit(two_devices, "beside", devices=2, steps=MANY)
    steps_on(two_devices, job, devices=2)

    def waited() -> float:
        answer = two_devices.client.post("/generate", json={"model": "served@1", "count": 16})
        assert answer.status_code == 200, answer.text
        return yielded_seconds(two_devices)

    assert until(waited, 20, "training has waited for sampling") > 0
    steps_on(two_devices, job, devices=2, after=record(two_devices, job)["progress"]["step"])
    ended = record(two_devices, job)
    assert (ended["state"], ended["failures"]["errors"], ended["failures"]["lost_workers"]) == ("running", 0, 0)
    two_devices.client.post(f"/training-jobs/{job}/cancel")


def yielded_seconds(service: Service) -> float:
    """What the training worker counts."""
    [target] = [each for each in service.client.get("/metrics/targets").json() if each["labels"]["queue"] == "train"]
    text = httpx2.get(f"http://{target['targets'][0]}/metrics", timeout=60).text
    return float(re.findall(r"^flawsmith_training_yielded_seconds_total (\S+)", text, re.MULTILINE)[0])
