"""kill -9 of the process that trains: the job goes on elsewhere, and ends as if nothing had happened."""

import random
import signal
import statistics
import time
from collections.abc import Callable

import pytest

from tests.conftest import until
from tests.faults.conftest import Site, held_by_one_at_a_time

JOBS, KILLS_IN_FULL = 3, 20
RESUMED_WITHIN = 15.0  # seconds
GONE_WITHIN = 10.0  # seconds, of `docker stop`
LONGEST_LIFE = 3.0  # seconds between a worker's beginning and its end: around the shortest pause between checkpoints


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.full_faults) for n in range(1, JOBS))])
def test_a_job_whose_workers_are_killed_ends_as_the_undisturbed_one(
    site: Site, undisturbed: tuple[str, str], number: int, full: bool, tell: Callable[[str], None]
) -> None:
    moments, kills = random.Random(number), KILLS_IN_FULL if full else 2
    job, pauses = site.submit(f"killed-{number}"), list[float]()
    while len(pauses) < kills:
        until(lambda: site.holder(job), 60, "a worker has the job")
        time.sleep(moments.uniform(0, LONGEST_LIFE))
        if (holder := site.holder(job)) not in site.training_pids():
            continue  # at this moment it was between two hands
        begun = time.monotonic()
        site.end(holder)
        site.resumed(job, holder, 2 * RESUMED_WITHIN)
        pauses.append(time.monotonic() - begun)
    tell(
        f"job {number + 1}, {len(pauses)} kills: trained again after {statistics.median(pauses):.1f} s (median), "
        f"{max(pauses):.1f} s (worst)"
    )
    assert site.outcome(job) == undisturbed
    held_by_one_at_a_time(site, job)
    assert max(pauses) < RESUMED_WITHIN


def test_a_terminated_worker_hands_its_job_back_at_once(
    site: Site, undisturbed: tuple[str, str], tell: Callable[[str], None]
) -> None:
    job = site.submit("terminated")
    site.saved(job, 1)
    holder = until(lambda: site.holder(job), 60, "a worker has the job")
    begun = time.monotonic()
    site.end(holder, signal.SIGTERM)
    gone = time.monotonic() - begun
    site.taken_over(job, holder, 5)
    tell(f"after SIGTERM gone in {gone:.1f} s; another worker had the job {time.monotonic() - begun:.1f} s after it")
    assert gone < GONE_WITHIN
    assert site.outcome(job) == undisturbed
    held_by_one_at_a_time(site, job)
