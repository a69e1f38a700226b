"""Training workers that are killed or terminated: the job resumes in another worker with the same outcome."""

import random
import signal
import statistics
import time

import pytest

from tests.conftest import PATIENCE
from tests.faults.cluster import Cluster
from tests.faults.conftest import PrintFigure
from tests.faults.evidence import assert_one_writer_at_a_time

JOBS, FULL_KILLS = 3, 20
RESUMED_WITHIN = 30.0  # seconds, beside other work; docs/failures.md says what it takes on a quiet machine
TERMINATED_WITHIN = 10.0  # seconds, as `docker stop` allows
MAX_LIFETIME = 3.0  # seconds from a worker's start to its kill, around the shortest interval between checkpoints


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.full_faults) for n in range(1, JOBS))])
def test_a_job_whose_workers_are_killed_has_the_undisturbed_outcome(
    cluster: Cluster, undisturbed: tuple[str, str], number: int, full_length: bool, print_figure: PrintFigure
) -> None:
    lifetimes, kills = random.Random(number), FULL_KILLS if full_length else 2
    job, pauses = cluster.submit(f"killed-{number}"), list[float]()
    while len(pauses) < kills:
        cluster.wait_for_worker(job)
        time.sleep(lifetimes.uniform(0, MAX_LIFETIME))
        if (pid := cluster.training_pid(job)) not in cluster.training_pids():
            continue  # the job is between two segments
        begun = time.monotonic()
        cluster.end_worker(pid)
        cluster.wait_for_progress(job, pid, RESUMED_WITHIN)
        pauses.append(time.monotonic() - begun)
    print_figure(
        f"job {number + 1}, {len(pauses)} kills: training again after {statistics.median(pauses):.1f} s (median), "
        f"{max(pauses):.1f} s (worst)"
    )
    assert cluster.outcome(job) == undisturbed
    assert_one_writer_at_a_time(cluster, job)


def test_a_terminated_worker_hands_its_job_over_at_once(
    cluster: Cluster, undisturbed: tuple[str, str], full_length: bool, print_figure: PrintFigure
) -> None:
    job = cluster.submit("terminated")
    cluster.wait_for_checkpoints(job, 1)
    pid = cluster.wait_for_worker(job)
    begun = time.monotonic()
    cluster.end_worker(pid, signal.SIGTERM)
    ended = time.monotonic() - begun
    cluster.wait_for_takeover(job, pid, 5)
    print_figure(f"SIGTERM: ended after {ended:.1f} s; another worker trained after {time.monotonic() - begun:.1f} s")
    assert ended < TERMINATED_WITHIN * (1 if full_length else PATIENCE)
    assert cluster.outcome(job) == undisturbed
    assert cluster.job(job)["failures"]["lost_workers"] == 0
    assert_one_writer_at_a_time(cluster, job)
