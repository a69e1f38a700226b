"""More jobs than workers, and workers that die all the while."""

import random
import resource
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx

from tests.conftest import until
from tests.faults.conftest import JOB, Site, held_by_one_at_a_time, start_site

LONGEST_SECONDS = 1200.0
# For a worker to run on, but not for a batch: 1,024 photographs of 256 x 256 as float32 would take all of it.
ROOM = 1024 * 256 * 256 * 4
ENDED = ("succeeded", "failed", "cancelled")


def test_all_jobs_end_once_and_in_fair_turns_while_workers_are_killed(
    tmp_path: Path, full: bool, tell: Callable[[str], None]
) -> None:
    count, pause = (50, 10.0) if full else (8, 7.0)
    site = start_site(tmp_path, full, segment_seconds="1")
    try:
        jobs = [site.submit(f"many-{number}", steps=150) for number in range(count)]
        kills = _kill_until_ended(site, count, pause)
        records = [site.trained(job) for job in jobs]
        assert [record["produced"] for record in records] == [f"many-{number}@1" for number in range(count)]
        for number in range(count):
            assert site.service.client.get(f"/models/many-{number}").json()["versions"] == [1]
        for job in jobs:
            held_by_one_at_a_time(site, job)
        first_end = min(record["finished_at"] for record in records)
        last_turn = max(record["started_at"] for record in records)
        rounds = [sum(f"job {job}: claim" in line for log in site.logs() for line in log.splitlines()) for job in jobs]
        tell(
            f"{count} jobs on 2 workers, {kills} kills: all succeeded, once each; {min(rounds)} to {max(rounds)} turns "
            f"a job; the last first turn at {last_turn}, the first end at {first_end}"
        )
        assert last_turn < first_end, "a job waited for another's end"
    finally:
        site.stop()


def _kill_until_ended(site: Site, count: int, pause: float) -> int:
    moments, kills = random.Random(count), 0
    due, end = time.monotonic() + pause, time.monotonic() + LONGEST_SECONDS
    while _ended(site) < count:
        assert time.monotonic() < end, f"not all jobs ended within {LONGEST_SECONDS:g} s"
        time.sleep(0.2)
        if time.monotonic() >= due:
            if pids := site.training_pids():
                site.end(moments.choice(pids), signal.SIGKILL)
                kills += 1
            due = time.monotonic() + pause
    return kills


def _ended(site: Site) -> int:
    items = site.service.client.get("/training-jobs", params={"limit": 100}).json()["items"]
    return sum(item["state"] in ENDED for item in items)


def test_one_key_from_fifty_clients_at_once_makes_one_job(site: Site) -> None:
    body = {**JOB, "model": "fifty-clients", "steps": 1}

    def submit(_: int) -> httpx.Response:
        with httpx.Client(base_url=site.service.client.base_url, timeout=60) as client:
            return client.post("/training-jobs", json=body, headers={"Idempotency-Key": "fifty"})

    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(submit, range(50)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(made) == 1
    # Whoever came while the first was at work may be told to come again, as the contract says; nobody makes another.
    assert {answer.status_code for answer in answers} <= {202, 409}
    listed = site.service.client.get("/training-jobs", params={"limit": 100}).json()["items"]
    assert sum(item["model"] == "fifty-clients" for item in listed) == 1
    site.trained(made.pop())


def test_memory_that_does_not_suffice_ends_the_job_with_a_batch_size_to_try(
    site: Site, tell: Callable[[str], None]
) -> None:
    until(lambda: site.live_workers() == 2, 30, "both workers live")
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_AS) for pid in site.training_pids()}
    try:
        for pid, (_, hard) in limits.items():
            size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
            resource.prlimit(pid, resource.RLIMIT_AS, (size + ROOM, hard))
        job = site.submit("too-large", resolution=256, overrides={**JOB["overrides"], "batch_size": 1024})
        record = until(lambda: (now := site.job(job))["state"] in ENDED and now, 60, "the job ends")
    finally:
        for pid, limit in limits.items():
            with suppress(ProcessLookupError):  # what became of the job says more
                resource.prlimit(pid, resource.RLIMIT_AS, limit)
    tell(f"out of memory: {record['error']}")
    assert record["state"] == "failed"
    assert "try batch_size 512" in record["error"]
    assert [each["state"] for each in record["transitions"]].count("running") == 3
