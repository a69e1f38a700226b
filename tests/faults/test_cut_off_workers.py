"""A worker that is paused, or cut off from Redis, and returns after another worker took its job over."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import until
from tests.faults.cluster import BUSY_SECONDS, Cluster
from tests.faults.conftest import PrintFigure, StartCluster
from tests.faults.evidence import assert_one_writer_at_a_time, published_digests, times_abandoned
from tests.faults.network_namespaces import NetworkHost, network
from tests.faults.tcp_proxy import TcpProxy

AWAY_SECONDS = 180.0


@pytest.fixture
def hosts() -> Iterator[dict[str, NetworkHost]]:
    """The host of Redis, and that of a worker. Fails where no network namespaces can be made."""
    with network(["redis", "worker"]) as made:
        yield made


def test_a_paused_worker_publishes_nothing_after_it_continues(
    cluster: Cluster, undisturbed: tuple[str, str], full_length: bool, print_figure: PrintFigure
) -> None:
    job = cluster.submit("paused")
    cluster.wait_for_checkpoints(job, 1)
    paused = cluster.wait_for_worker(job)
    os.kill(paused, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        cluster.wait_for_takeover(job, paused, 30)
        print_figure(f"paused: another worker trained after {time.monotonic() - begun:.1f} s")
        _stay_away(cluster, job, begun, full_length)
        published = published_digests(cluster, job, "paused") if full_length else None
    finally:
        os.kill(paused, signal.SIGCONT)
    _assert_abandoned(cluster, job, "paused", published)
    assert cluster.outcome(job) == undisturbed
    assert_one_writer_at_a_time(cluster, job)


def test_a_worker_whose_network_failed_publishes_nothing_after_it_returns(
    tmp_path: Path,
    hosts: dict[str, NetworkHost],
    start_cluster: StartCluster,
    undisturbed: tuple[str, str],
    full_length: bool,
    print_figure: PrintFigure,
) -> None:
    cluster = start_cluster(tmp_path, workers=1, segment_seconds="60")
    with ExitStack() as opened:
        with hosts["redis"].inside():
            proxy = opened.enter_context(TcpProxy(tmp_path / "redis" / "redis.sock", hosts["redis"].address))
        isolated = cluster.add_worker(*hosts["worker"].command(), redis_url=proxy.url)
        until(lambda: cluster.live_workers() == 2, 30, "the isolated worker is live")
        job = cluster.submit("cut-off")
        if cluster.wait_for_worker(job) != isolated.pid:
            cluster.end_worker(cluster.training_pids()[0], signal.SIGTERM)
        until(lambda: "checkpoint at" in cluster.worker_log(0).read_text(), BUSY_SECONDS, "the isolated worker trains")
        hosts["worker"].set_link("down")
        begun = time.monotonic()
        cluster.wait_for_takeover(job, isolated.pid, 30)
        print_figure(f"cut off: another worker trained after {time.monotonic() - begun:.1f} s")
        _stay_away(cluster, job, begun, full_length)
        published = published_digests(cluster, job, "cut-off") if full_length else None
        hosts["worker"].set_link("up")
        _assert_abandoned(cluster, job, "cut-off", published)
        until(lambda: cluster.live_workers() == 2, BUSY_SECONDS, "the isolated worker is live again")
        assert cluster.outcome(job) == undisturbed
        assert_one_writer_at_a_time(cluster, job)
        cluster.stop()  # before the proxy ends


def _stay_away(cluster: Cluster, job: str, begun: float, full_length: bool) -> None:
    """Waits for a checkpoint of the other worker; at full length, for the end of the job and `AWAY_SECONDS`."""
    before = cluster.checkpoints(job)
    until(lambda: cluster.checkpoints(job) != before, 30, "the other worker saves a checkpoint")
    if full_length:
        cluster.wait_for_success(job)
        time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - begun)))


def _assert_abandoned(cluster: Cluster, job: str, model: str, published: dict[str, str] | None) -> None:
    """The returned worker stops training the job. If the job had ended, no published file changes."""
    until(lambda: times_abandoned(cluster, job), BUSY_SECONDS, "the worker finds that another worker has the job")
    if published is not None:
        assert published_digests(cluster, job, model) == published
