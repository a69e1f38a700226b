"""A kind of job from outside the tree, three small files under tests/counting, through the real API and worker."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Service, start_service, stop_service, until

ROOT = Path(__file__).parents[2]
NUMBERS = 300  # about 4 s
SUM = NUMBERS * (NUMBERS - 1) // 2


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows the kind, with segments of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
        service = start_service(
            tmp_path_factory.mktemp("counting"), segment_seconds="1", job_kinds="tests.counting.kind"
        )
    yield service
    stop_service(service)


def submit(service: Service, **body: Any) -> str:
    answer = service.client.post("/countings", json={"numbers": NUMBERS, **body})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/countings/{answer.json()['id']}"
    return answer.headers["location"]


def step(service: Service, path: str) -> int:
    return int(service.client.get(path).json()["progress"]["step"])


def test_it_runs_in_segments_and_shows_its_result(counting: Service) -> None:
    path = submit(counting)
    job = counting.job_ended(path, 60)
    assert (job["state"], job["total"], job["kind"]) == ("succeeded", SUM, "counting")
    assert job["progress"]["step"] == NUMBERS
    assert counting.client.get("/countings").json()["items"] == [job]
    assert counting.client.get("/countings?state=failed").json()["items"] == []
    segments = re.findall(rf"job {job['id']}: claim", counting.log.read_text())
    assert len(segments) >= 3


def test_its_events_are_those_of_every_kind_and_its_own(counting: Service) -> None:
    events = counting.client.get(f"{submit(counting)}/events").text
    names = re.findall(r"^event: (\w+)$", events, re.M)
    assert names.count("hundred") == NUMBERS // 100
    assert names.count("progress") >= 3
    assert re.findall(r'"state": "(\w+)"', events) == ["running", "succeeded"]


def test_a_cancelled_job_resumes_where_it_was(counting: Service) -> None:
    path = submit(counting, numbers=1000)
    until(lambda: step(counting, path) > 150, 20, "it counts")
    assert counting.client.post(f"{path}/cancel").status_code == 202
    job_id = path.rpartition("/")[2]
    until(lambda: not counting.has_lease(job_id), 10, "the worker leaves it")
    assert counting.client.post(f"{path}/cancel").status_code == 200
    assert counting.client.post(f"{path}/resume").status_code == 202
    assert counting.job_ended(path, 60)["total"] == 1000 * 999 // 2
    first_steps = [
        int(each) for each in re.findall(rf"job {job_id}: claim \S+, from step (\d+)", counting.log.read_text())
    ]
    assert first_steps == sorted(first_steps)
    assert first_steps[-1] >= 150


def test_a_killed_worker_costs_it_nothing(counting: Service) -> None:
    path = submit(counting, numbers=600)
    until(lambda: step(counting, path) > 200, 20, "it counts")
    os.kill(until(lambda: counting.pid("worker", "train"), 10, "the worker runs"), signal.SIGKILL)
    job = counting.job_ended(path, 60)
    assert (job["state"], job["total"]) == ("succeeded", 600 * 599 // 2)
    states = [each["state"] for each in job["transitions"]]  # killed between two segments, it stays running
    assert states in (["queued", "running", "queued", "running", "succeeded"], ["queued", "running", "succeeded"])


def test_an_error_that_would_return_fails_it_at_once(counting: Service) -> None:
    job = counting.job_ended(submit(counting, largest=10), 60)
    assert (job["state"], job["attempts"]) == ("failed", 1)
    assert job["error"] == "10 is the largest number; count fewer numbers"


def test_kinds_do_not_share_their_lists_and_ids(counting: Service) -> None:
    path = submit(counting, numbers=1)
    counting.job_ended(path, 60)
    assert counting.client.get("/training-jobs").json()["items"] == []
    answer = counting.client.get(f"/training-jobs/{path.rpartition('/')[2]}")
    assert answer.status_code == 404
    assert "no training job" in answer.json()["detail"]
    assert counting.client.post(f"{path}/resume").status_code == 409
