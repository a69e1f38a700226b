"""A worker that is paused, or cut off from Redis, and comes back: its job is another's by then."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import until
from tests.faults.conftest import Site, contents, held_by_one_at_a_time, start_site
from tests.faults.redis_door import RedisDoor

NAMESPACE, HERE, THERE = "flawsmith-faults", "10.231.77.1", "10.231.77.2"
AWAY_SECONDS = 180.0


def test_a_paused_worker_publishes_nothing_when_it_wakes(
    site: Site, undisturbed: tuple[str, str], full: bool, tell: Callable[[str], None]
) -> None:
    job = site.submit("paused")
    site.saved(job, 1)
    paused = until(lambda: site.holder(job), 60, "a worker has the job")
    os.kill(paused, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        site.taken_over(job, paused, 30)
        tell(f"paused: another worker had the job after {time.monotonic() - begun:.1f} s")
        _away(site, job, begun, full)
        published = contents(site, job, "paused") if full else None
    finally:
        os.kill(paused, signal.SIGCONT)
    _nothing_more_comes(site, job, "paused", published)
    assert site.outcome(job) == undisturbed
    held_by_one_at_a_time(site, job)


@dataclass
class Island:
    """A network namespace whose one link leads to Redis."""

    def link(self, state: str) -> None:
        _ip("link", "set", f"{NAMESPACE[:9]}-0", state)


@pytest.fixture
def island() -> Iterator[Island]:
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("a network namespace needs root and the command ip")
    _ip("netns", "add", NAMESPACE)
    try:
        outer, inner = f"{NAMESPACE[:9]}-0", f"{NAMESPACE[:9]}-1"
        _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", NAMESPACE)
        _ip("address", "add", f"{HERE}/30", "dev", outer)
        _ip("-n", NAMESPACE, "address", "add", f"{THERE}/30", "dev", inner)
        for words in (("-n", NAMESPACE, "link", "set", inner, "up"), ("-n", NAMESPACE, "link", "set", "lo", "up")):
            _ip(*words)
        _ip("link", "set", outer, "up")
        yield Island()
    finally:
        _ip("netns", "delete", NAMESPACE)


def test_a_worker_whose_network_fails_publishes_nothing_when_it_is_back(
    tmp_path: Path, island: Island, undisturbed: tuple[str, str], full: bool, tell: Callable[[str], None]
) -> None:
    site = start_site(tmp_path, full, workers=1, segment_seconds="60")
    try:
        with RedisDoor(site.service.data_dir / "redis" / "redis.sock", HERE) as door:
            there = site.add_worker("ip", "netns", "exec", NAMESPACE, redis_url=door.url)
            until(lambda: site.live_workers() == 2, 30, "the worker behind the link is there")
            job = site.submit("cut-off")
            until(lambda: site.holder(job), 60, "a worker has the job")
            if site.holder(job) != there.pid:
                site.end(site.training_pids()[0], signal.SIGTERM)
            until(lambda: "checkpoint at" in site.log(0).read_text(), 60, "the worker behind the link trains")
            island.link("down")
            begun = time.monotonic()
            site.taken_over(job, there.pid, 30)
            tell(f"cut off: another worker had the job after {time.monotonic() - begun:.1f} s")
            _away(site, job, begun, full)
            published = contents(site, job, "cut-off") if full else None
            island.link("up")
            _nothing_more_comes(site, job, "cut-off", published)
            until(lambda: site.live_workers() == 2, 60, "the worker behind the link is back")
            assert site.outcome(job) == undisturbed
            held_by_one_at_a_time(site, job)
            site.stop()
    except BaseException:
        site.stop()
        raise


def _away(site: Site, job: str, begun: float, full: bool) -> None:
    """Until another worker has come on; in full, until it has ended the job and three minutes are over."""
    before = site.checkpoints(job)
    until(lambda: site.checkpoints(job) != before, 30, "the other worker saves a checkpoint")
    if full:
        site.trained(job)
        time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - begun)))


def _nothing_more_comes(site: Site, job: str, model: str, published: dict[str, str] | None) -> None:
    """The worker that is back finds that the job is another's; where that one had ended it, nothing has changed."""
    until(lambda: site.refused(job), 60, "the worker finds that the job is another's")
    if published is not None:
        assert contents(site, job, model) == published


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
