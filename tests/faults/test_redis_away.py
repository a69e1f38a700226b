"""Redis that is killed, wiped, silent or resets connections while a job trains."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import until
from tests.faults.cluster import BUSY_SECONDS, JOB, Cluster
from tests.faults.conftest import PrintFigure, StartCluster
from tests.faults.evidence import assert_one_writer_at_a_time
from tests.faults.tcp_proxy import Blockage, TcpProxy

ANSWERED_WITHIN = 6.0  # seconds, for calls while Redis is away: Redis has 2 s to answer, with some margin


def test_jobs_survive_kills_of_redis(
    cluster: Cluster, undisturbed: tuple[str, str], full_length: bool, print_figure: PrintFigure
) -> None:
    kills, pauses, jobs = 20 if full_length else 1, list[float](), list[str]()
    while len(pauses) < kills:
        jobs.append(cluster.submit(f"redis-killed-{len(jobs)}"))
        cluster.wait_for_checkpoints(jobs[-1], 1)
        while len(pauses) < kills and cluster.job(jobs[-1])["state"] == "running":
            pauses.append(_kill_redis(cluster, jobs[-1]))
    print_figure(
        f"Redis killed {kills} times during {len(jobs)} job(s): progress after {statistics.median(pauses):.1f} s "
        f"(median), {max(pauses):.1f} s (worst)"
    )
    for job in jobs:
        assert cluster.outcome(job) == undisturbed
        assert_one_writer_at_a_time(cluster, job)


def _kill_redis(cluster: Cluster, job: str) -> float:
    """Kills Redis; returns the seconds until the job makes progress or has succeeded."""
    before, begun = cluster.job(job)["progress"]["step"], time.monotonic()
    os.kill(until(lambda: cluster.service.pid("redis"), 10, "Redis runs"), signal.SIGKILL)

    def moved() -> bool:
        record = cluster.job(job)
        return bool(record["progress"]["step"] > before or record["state"] == "succeeded")

    until(moved, BUSY_SECONDS, "the job makes progress")
    return time.monotonic() - begun


def test_a_job_survives_a_wiped_redis_without_help(
    cluster: Cluster, undisturbed: tuple[str, str], print_figure: PrintFigure
) -> None:
    job = cluster.submit("redis-wiped")
    saved = cluster.wait_for_checkpoints(job, 1)[-1]
    cluster.service.redis.flushall()
    begun = time.monotonic()
    until(
        lambda: cluster.checkpoints(job)[-1] > saved and cluster.training_pid(job),
        BUSY_SECONDS,
        "the job is trained again",
    )
    print_figure(f"Redis wiped: the job was trained and saved again after {time.monotonic() - begun:.1f} s")
    assert cluster.outcome(job) == undisturbed
    assert_one_writer_at_a_time(cluster, job)


@pytest.fixture
def redis_socket(tmp_path: Path) -> Iterator[Path]:
    """The socket of a Redis server for one test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flawsmith.cli.main", "redis"],
        env={**os.environ, "FLAWSMITH_DATA_DIR": str(tmp_path / "redis-server")},
    )
    path = tmp_path / "redis-server" / "redis" / "redis.sock"
    until(path.exists, 20, "the server listens")
    yield path
    process.terminate()
    process.wait(10)


@pytest.fixture
def redis_proxy(redis_socket: Path) -> Iterator[TcpProxy]:
    """A proxy in front of that server."""
    with TcpProxy(redis_socket) as proxy:
        yield proxy


def test_the_service_recovers_from_a_redis_that_hangs_or_resets_connections(
    tmp_path: Path,
    redis_socket: Path,
    redis_proxy: TcpProxy,
    start_cluster: StartCluster,
    undisturbed: tuple[str, str],
    full_length: bool,
    print_figure: PrintFigure,
) -> None:
    cluster = start_cluster(tmp_path / "cluster", redis_url=redis_proxy.url)
    job = cluster.submit("behind-the-proxy")
    for blockage in Blockage:
        redis_proxy.block(blockage)
        until(lambda: not cluster.service.ready(), 5, "/readyz, which remembers its answer for a second, says so")
        slowest = _assert_unready_for(60.0 if full_length else 5.0, cluster)
        redis_proxy.unblock()
        begun = time.monotonic()
        until(cluster.service.ready, BUSY_SECONDS, "the service is ready again")
        print_figure(
            f"Redis {blockage.name.lower()}: /readyz answered within {slowest:.1f} s at worst; "
            f"ready {time.monotonic() - begun:.1f} s after its end"
        )
        assert slowest < ANSWERED_WITHIN
    assert cluster.outcome(job) == undisturbed
    # After a wipe the service restores all jobs from the store: refused ones must not be among them.
    redis.Redis(unix_socket_path=str(redis_socket)).flushall()
    assert [each["model"] for each in cluster.jobs()] == ["behind-the-proxy"]


def _assert_unready_for(seconds: float, cluster: Cluster) -> float:
    """Asserts for some seconds that the service reports Redis as missing and refuses jobs.

    Returns:
        The longest time of an answer of /readyz, in seconds.
    """
    end, slowest = time.monotonic() + seconds, 0.0
    while (begun := time.monotonic()) < end:
        answer = cluster.service.client.get("/readyz")
        slowest = max(slowest, time.monotonic() - begun)
        assert answer.status_code == 503
        assert "redis" in answer.json()["missing"]
        refused = cluster.service.client.post("/training-jobs", json={**JOB, "model": "refused", "steps": 1})
        assert refused.status_code == 503, refused.text
        time.sleep(0.1)
    return slowest
