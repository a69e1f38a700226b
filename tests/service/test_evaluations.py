"""An evaluation of a model version through the real API and worker, which is killed once."""

import os
import signal

import pytest
from tests.conftest import SMALL_JOB, Service, photograph, until, zipped

PER_TYPE, REPEATS = 3, 2
BODY = {"dataset": "evaluated", "per_type": [PER_TYPE], "ratios": [1], "repeats": REPEATS}


@pytest.fixture(scope="module")
def version(service: Service) -> str:
    """The path of a version of two types."""
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(9)}
    assert service.upload("evaluated", zipped(files)).status_code == 201
    job = service.train("evaluated", "evaluated", **SMALL_JOB)
    assert job["produced"] == "evaluated@1"
    return "/models/evaluated/versions/1"


def test_it_trains_generators_and_classifiers_and_survives_a_kill(service: Service, version: str) -> None:
    answer = service.client.post(f"{version}/evaluations", json=BODY)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    path = answer.headers["location"]
    assert path == f"/evaluations/{job['id']}"
    assert (job["kind"], job["version"], job["state"]) == ("evaluation", "evaluated@1", "queued")
    until(lambda: service.client.get(path).json()["progress"]["step"] > 700, 120, "two classifiers are trained")
    os.kill(until(lambda: service.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)

    job = service.job_ended(path, 250)
    assert job["state"] == "succeeded", job
    assert job["progress"]["step"] == job["progress"]["total_steps"]
    result = job["result"]
    arms = [(each["name"], each["per_type"], each["ratio"]) for each in result["arms"]]
    named = [("real", 0.0), ("real+synthetic", 1.0), ("synthetic", 1.0), ("paste", 1.0)]
    assert arms == [(name, PER_TYPE, ratio) for name, ratio in named]
    scores = [each[name] for each in result["arms"] for name in ("accuracy", "macro_f1", "worst_recall")]
    assert all(0 <= each <= 1 for each in scores)
    [difference] = result["differences"]
    assert difference["ratio"] == 1
    assert difference["accuracy"]["low"] <= difference["accuracy"]["mean"] <= difference["accuracy"]["high"]
    assert (result["verdict"], result["leaks"], result["repeats"]) == ("no evidence", False, REPEATS)  # it is all noise
    assert service.client.get(f"{version}/evaluations").json()["items"] == [job]
    begun = [line for line in service.log.read_text().splitlines() if f"job {job['id']}: claim" in line]
    assert int(begun[-1].rpartition("step ")[2].split()[0]) > 0, "it began anew after the kill"


def test_one_type_without_clean_photographs_is_not_measurable(service: Service) -> None:
    assert service.upload("alone", zipped({f"{i}.png": photograph(i) for i in range(9)})).status_code == 201
    service.train("alone", "alone", **SMALL_JOB)
    body = {**BODY, "dataset": "alone"}
    path = service.client.post("/models/alone/versions/1/evaluations", json=body).headers["location"]
    result = service.job_ended(path, 250)["result"]
    assert (result["verdict"], result["arms"], result["recommended_ratio"]) == ("not measurable", [], None)
    assert "no clean photographs" in result["reason"]
