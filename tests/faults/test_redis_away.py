"""Redis killed, wiped, silent or cutting connections under a training job."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import until
from tests.faults.conftest import JOB, Site, held_by_one_at_a_time, start_site
from tests.faults.redis_door import RedisDoor, Shut

ANSWERED_WITHIN = 6.0  # seconds, for a caller of a service whose Redis is away: 2 s for an answer, and some


def test_jobs_outlive_a_killed_redis(
    site: Site, undisturbed: tuple[str, str], full: bool, tell: Callable[[str], None]
) -> None:
    kills, pauses, jobs = 20 if full else 1, list[float](), list[str]()
    while len(pauses) < kills:
        jobs.append(site.submit(f"redis-killed-{len(jobs)}"))
        site.saved(jobs[-1], 1)
        while len(pauses) < kills and site.job(jobs[-1])["state"] == "running":
            pauses.append(_kill_redis(site, jobs[-1]))
    tell(
        f"Redis killed {kills} times under {len(jobs)} job(s): seen to go on after {statistics.median(pauses):.1f} s "
        f"(median), {max(pauses):.1f} s (worst)"
    )
    for job in jobs:
        assert site.outcome(job) == undisturbed
        held_by_one_at_a_time(site, job)


def _kill_redis(site: Site, job: str) -> float:
    """Seconds until the job is seen to go on, or to have ended."""
    before, begun = site.job(job)["progress"]["step"], time.monotonic()
    os.kill(until(lambda: site.service.pid("redis"), 10, "Redis runs"), signal.SIGKILL)

    def moved() -> bool:
        record = site.job(job)
        return bool(record["progress"]["step"] > before or record["state"] == "succeeded")

    until(moved, 60, "the job is seen to go on")
    return time.monotonic() - begun


def test_a_job_outlives_a_wiped_redis_by_itself(
    site: Site, undisturbed: tuple[str, str], tell: Callable[[str], None]
) -> None:
    job = site.submit("redis-wiped")
    saved = site.saved(job, 1)[-1]
    site.service.redis.flushall()
    begun = time.monotonic()
    until(lambda: site.checkpoints(job)[-1] > saved and site.holder(job), 60, "the job goes on")
    tell(f"Redis wiped: the job had its worker, and came on, after {time.monotonic() - begun:.1f} s")
    assert site.outcome(job) == undisturbed
    held_by_one_at_a_time(site, job)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Path]:
    """The socket of a Redis of the test's own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flawsmith.cli.main", "redis"],
        env={**os.environ, "FLAWSMITH_DATA_DIR": str(tmp_path / "server")},
    )
    path = tmp_path / "server" / "redis" / "redis.sock"
    until(path.exists, 20, "the server listens")
    yield path
    process.terminate()
    process.wait(10)


def test_all_come_back_from_a_redis_that_hangs_or_cuts_connections(
    server: Path, tmp_path: Path, undisturbed: tuple[str, str], full: bool, tell: Callable[[str], None]
) -> None:
    with RedisDoor(server) as door:
        site = start_site(tmp_path / "site", full, redis_url=door.url)
        try:
            job = site.submit("behind-the-door")
            for shut in Shut:
                door.shut_as(shut)
                slowest = _unready_for(60.0 if full else 5.0, site)
                door.shut_as(None)
                begun = time.monotonic()
                until(site.service.ready, 60, "the service is ready again")
                tell(
                    f"Redis {shut.name.lower()}: /readyz said so within {slowest:.1f} s at worst; "
                    f"ready {time.monotonic() - begun:.1f} s after its end"
                )
                assert slowest < ANSWERED_WITHIN
            assert site.outcome(job) == undisturbed
            redis.Redis(
                unix_socket_path=str(server)
            ).flushall()  # whatever the store has comes back: the jobs that were refused must not be of it
            listed = site.service.client.get("/training-jobs", params={"limit": 100}).json()["items"]
            assert [each["model"] for each in listed] == ["behind-the-door"]
        finally:
            site.stop()


def _unready_for(seconds: float, site: Site) -> float:
    """Asks all the while whether the service is ready, which it must deny; the longest time that took."""
    end, slowest = time.monotonic() + seconds, 0.0
    while (begun := time.monotonic()) < end:
        answer = site.service.client.get("/readyz")
        slowest = max(slowest, time.monotonic() - begun)
        assert answer.status_code == 503
        assert "redis" in answer.json()["missing"]
        refused = site.service.client.post("/training-jobs", json={**JOB, "model": "refused", "steps": 1})
        assert refused.status_code == 503, refused.text
        time.sleep(0.1)
    return slowest
