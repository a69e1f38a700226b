"""More jobs than workers while workers are killed, concurrent submissions, and too little memory."""

import random
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2

from tests.conftest import until
from tests.faults.cluster import BUSY_SECONDS, ENDED, JOB, Cluster
from tests.faults.conftest import PrintFigure, StartCluster
from tests.faults.evidence import assert_one_writer_at_a_time, times_claimed

MAX_SECONDS, STEPS = 1500.0, 150
# Enough for a worker to go on, but not for a batch: 1,024 photographs of 256 x 256 as float32 need all of it.
SPARE_BYTES = 1024 * 256 * 256 * 4


def test_while_workers_are_killed_all_jobs_succeed_once_and_share_the_workers_fairly(
    tmp_path: Path, start_cluster: StartCluster, full_length: bool, print_figure: PrintFigure
) -> None:
    count, kills = (50, 100) if full_length else (5, 5)
    cluster = start_cluster(tmp_path, segment_seconds="1")
    jobs = [cluster.submit(f"many-{number}", steps=STEPS) for number in range(count)]
    begun = time.monotonic()
    killed = _kill_until_all_ended(cluster, count, kills)
    assert killed >= kills / 2
    records = [cluster.wait_for_success(job) for job in jobs]
    seconds = time.monotonic() - begun
    assert [record["produced"] for record in records] == [f"many-{number}@1" for number in range(count)]
    for number in range(count):
        assert cluster.service.client.get(f"/models/many-{number}").json()["versions"] == [1]
    for job in jobs:
        assert_one_writer_at_a_time(cluster, job)
    first_end = min(record["finished_at"] for record in records)
    last_start = max(record["started_at"] for record in records)
    segments = [times_claimed(cluster, job) for job in jobs]
    print_figure(
        f"{count} jobs on 2 workers, {killed} kills, {seconds:.0f} s: all succeeded once; {min(segments)} to "
        f"{max(segments)} segments each; the last job started at {last_start}, the first ended at {first_end}"
    )
    assert last_start < first_end, "a job started only after another had ended"


def _kill_until_all_ended(cluster: Cluster, count: int, kills: int) -> int:
    """Kills a random training worker each time that the jobs together have trained a ``kills``-th of their steps.

    Not after a time: on a slow machine workers would be killed before their first step, again and again.

    Returns:
        The number of kills.
    """
    choice, killed, end = random.Random(count), 0, time.monotonic() + MAX_SECONDS
    while (jobs := cluster.jobs()) and not all(job["state"] in ENDED for job in jobs):
        assert time.monotonic() < end, f"not all jobs ended within {MAX_SECONDS:g} s"
        if sum(job["progress"]["step"] for job in jobs) >= (killed + 0.5) * count * STEPS / kills:
            pids = until(cluster.training_pids, BUSY_SECONDS, "a training worker runs")
            cluster.end_worker(choice.choice(pids), signal.SIGKILL)
            killed += 1
        time.sleep(0.2)
    return killed


def test_fifty_concurrent_submissions_with_one_idempotency_key_make_one_job(cluster: Cluster) -> None:
    body = {**JOB, "model": "fifty-clients", "steps": 1}

    def submit(_: int) -> httpx2.Response:
        with httpx2.Client(base_url=cluster.service.client.base_url, timeout=60) as client:
            return client.post("/training-jobs", json=body, headers={"Idempotency-Key": "fifty"})

    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(submit, range(50)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(made) == 1
    # While the first call is in flight, the contract answers 409.
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert sum(job["model"] == "fifty-clients" for job in cluster.jobs()) == 1
    cluster.wait_for_success(made.pop())


def test_a_job_that_needs_too_much_memory_fails_with_a_smaller_batch_size_to_try(
    cluster: Cluster, print_figure: PrintFigure
) -> None:
    until(lambda: cluster.live_workers() == 2, 30, "both workers are live")
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_AS) for pid in cluster.training_pids()}
    try:
        for pid, (_, hard) in limits.items():
            size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
            resource.prlimit(pid, resource.RLIMIT_AS, (size + SPARE_BYTES, hard))
        job = cluster.submit("too-large", resolution=256, overrides={**JOB["overrides"], "batch_size": 1024})
        record = cluster.wait_for_end(job, BUSY_SECONDS)
    finally:
        for pid, limit in limits.items():
            with suppress(ProcessLookupError):  # the assertions below say more
                resource.prlimit(pid, resource.RLIMIT_AS, limit)
    print_figure(f"out of memory: {record['error']}")
    assert record["state"] == "failed"
    assert "try batch_size 512" in record["error"]
    assert [each["state"] for each in record["transitions"]].count("running") == 3
