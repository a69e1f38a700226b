"""A worker that is paused, or cut off from Redis, and returns after another worker took its job over."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import until
from tests.faults.cluster import BUSY_SECONDS, Cluster
from tests.faults.conftest import PrintFigure, StartCluster
from tests.faults.evidence import assert_one_writer_at_a_time, published_digests, times_abandoned
from tests.faults.tcp_proxy import TcpProxy

AWAY_SECONDS = 180.0


@dataclass(frozen=True)
class IsolatedHost:
    """A network namespace whose only link leads to this machine."""

    namespace: str = "flawsmith-faults"
    outer_link: str = "flawsmith-0"
    inner_link: str = "flawsmith-1"
    outer_address: str = "10.231.77.1"
    inner_address: str = "10.231.77.2"

    def set_link(self, state: str) -> None:
        """Sets the link "up" or "down"."""
        _ip("link", "set", self.outer_link, state)


@pytest.fixture
def isolated_host() -> Iterator[IsolatedHost]:
    """An isolated host whose link is up."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("a network namespace needs root and the command ip")
    host = IsolatedHost()
    _ip("netns", "add", host.namespace)
    try:
        peer = ("type", "veth", "peer", "name", host.inner_link, "netns", host.namespace)
        _ip("link", "add", host.outer_link, *peer)
        _ip("address", "add", f"{host.outer_address}/30", "dev", host.outer_link)
        _ip("-n", host.namespace, "address", "add", f"{host.inner_address}/30", "dev", host.inner_link)
        for link in (host.inner_link, "lo"):
            _ip("-n", host.namespace, "link", "set", link, "up")
        host.set_link("up")
        yield host
    finally:
        _ip("netns", "delete", host.namespace)


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
    isolated_host: IsolatedHost,
    start_cluster: StartCluster,
    undisturbed: tuple[str, str],
    full_length: bool,
    print_figure: PrintFigure,
) -> None:
    cluster = start_cluster(tmp_path, workers=1, segment_seconds="60")
    with TcpProxy(tmp_path / "redis" / "redis.sock", isolated_host.outer_address) as proxy:
        isolated = cluster.add_worker("ip", "netns", "exec", isolated_host.namespace, redis_url=proxy.url)
        until(lambda: cluster.live_workers() == 2, 30, "the isolated worker is live")
        job = cluster.submit("cut-off")
        if cluster.wait_for_worker(job) != isolated.pid:
            cluster.end_worker(cluster.training_pids()[0], signal.SIGTERM)
        until(lambda: "checkpoint at" in cluster.worker_log(0).read_text(), BUSY_SECONDS, "the isolated worker trains")
        isolated_host.set_link("down")
        begun = time.monotonic()
        cluster.wait_for_takeover(job, isolated.pid, 30)
        print_figure(f"cut off: another worker trained after {time.monotonic() - begun:.1f} s")
        _stay_away(cluster, job, begun, full_length)
        published = published_digests(cluster, job, "cut-off") if full_length else None
        isolated_host.set_link("up")
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


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
