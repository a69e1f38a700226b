"""Prometheus scrapes a site for ten minutes under load while its processes are killed, and alerts fire for real.

tests/deploy/test_prometheus.py is the short form.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from statistics import median

import httpx2
import pytest

from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry
from tests.conftest import SMALL_JOB, Service, photograph, start_service, stop_service, until, zipped
from tests.deploy.load import load
from tests.deploy.prometheus_server import PrometheusServer, prometheus, wait_for_scrapes
from tests.faults.conftest import PrintFigure
from tests.published_versions import FAILING, publish

SECONDS = 600.0
KILL_SECONDS = 30.0  # between two kills
MANY = 1000  # jobs, and models
PARTS = (("worker", "train"), ("worker", "sample"), ("api",), ("one of the API's processes",))
LABELLED_MODELS = 200  # in docs/metrics.md
INTERVAL = "5s"
JOBS = ("flawsmith-api", "flawsmith-workers")  # of Prometheus


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Service]:
    """A service with two API processes, a model and a failing one in production."""
    service = start_service(tmp_path / "data", api_processes="2")
    files = {f"{kind}/{i}.png": photograph(10 * i + len(kind)) for kind in ("dents", "scratches") for i in range(5)}
    service.upload("set", zipped(files))
    assert service.train("set", "model")["state"] == "succeeded"
    yield service
    stop_service(service)


def registry(site: Service) -> Registry:
    return Registry(ArtifactStore(site.data_dir / "artifacts"))


def kill(site: Service, part: tuple[str, ...]) -> None:
    """Kills a part of the service, or a child of its API that answers requests."""
    pid = site.pid(*part) if part != PARTS[-1] else site.pid("api")
    if pid and part == PARTS[-1]:
        children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        pid = children[-1] if children else None
    if pid:
        os.kill(pid, signal.SIGKILL)


def series(server: PrometheusServer) -> int:
    """Series that the newest scrapes of the site brought."""
    return int(server.value("sum(scrape_samples_scraped)"))


def scrape_times(server: PrometheusServer, job: str, seconds: float) -> str:
    """How long the scrapes of a job's targets took that succeeded in the last seconds, in words."""
    # A failed scrape took as long as the connection to a dead process, which says nothing of what a scrape costs.
    found = f'(scrape_duration_seconds{{job="{job}"}} and up{{job="{job}"}} == 1)[{seconds:.0f}s:{INTERVAL}]'
    took = sorted(1000 * float(value) for sample in server.query(found) for _, value in sample["values"])
    late = took[int(0.99 * len(took))]
    return f"{job}: {median(took):.0f} ms (median of {len(took)}), {late:.0f} ms (p99), {took[-1]:.0f} ms (worst)"


def disturb(site: Service, seconds: float) -> int:
    """Trains small jobs, and kills part after part; returns the number of kills."""
    end, parts, kills, job = time.monotonic() + seconds, cycle(PARTS), 0, ""
    next_kill = time.monotonic() + KILL_SECONDS
    while time.monotonic() < end:
        if time.monotonic() >= next_kill:
            kill(site, next(parts))
            kills, next_kill = kills + 1, time.monotonic() + KILL_SECONDS
        with suppress(httpx2.HTTPError):  # the API is being restarted
            job = _next_job(site, job)
        time.sleep(0.5)
    return kills


def _next_job(site: Service, job: str) -> str:
    """The job that runs: this one, or where it has ended, or there was none, another."""
    if job and site.client.get(f"/training-jobs/{job}").raise_for_status().json()["state"] in ("queued", "running"):
        return job
    body = {"dataset": "set", "model": "small", **SMALL_JOB, "steps": 200}
    return str(site.client.post("/training-jobs", json=body).raise_for_status().json()["id"])


def use_many(site: Service) -> None:
    """Makes and cancels many jobs, and asks for images of many models, all in production, none of which can be made."""
    for number in range(MANY):
        body = {"dataset": "set", "model": f"queued-{number}", **SMALL_JOB}
        job = site.client.post("/training-jobs", json=body).json()["id"]
        site.client.post(f"/training-jobs/{job}/cancel")
    found = registry(site)
    for number in range(MANY):
        publish(found, f"job-{number}", f"many-{number}")
        found.set_alias(f"many-{number}", "production", 1)
        site.client.post("/generate", json={"model": f"many-{number}@1", "deadline_seconds": 2})


@pytest.mark.full_faults
@pytest.mark.timeout(1800)
def test_ten_minutes_under_load_and_kills(site: Service, tmp_path: Path, print_figure: PrintFigure) -> None:
    publish(registry(site), "job-failing", "failing", verdict=FAILING)
    registry(site).set_alias("failing", "production", 1)
    api = site.client.base_url.netloc.decode()
    with prometheus(tmp_path / "prometheus", api, interval=INTERVAL) as server, load(site, "model@1"):
        kills = disturb(site, SECONDS)
        until(site.ready, 60, "the service is ready")
        wait_for_scrapes(server, 2)
        assert server.fallen_counters("1h") == []
        fired = {"FlawsmithHeartbeatLost", "FlawsmithVerdictFailing"}
        until(lambda: fired <= server.firing(), 150, f"{fired} fire after their time")
        asked, before = server.value("sum(flawsmith_http_requests_total)"), series(server)
        print_figure(f"{kills} kills in {SECONDS:.0f} s, {asked:.0f} requests: no counter fell")
        for job in JOBS:
            print_figure(f"a scrape of {scrape_times(server, job, SECONDS)}")
        begun = time.monotonic()
        use_many(site)
        wait_for_scrapes(server, 3)
        many_seconds = time.monotonic() - begun
        after, models = series(server), len(server.query("count by (model) ({model=~'many-.*'})"))
        print_figure(f"series: {before}, and {after} after {MANY} jobs and {MANY} models, of which {models} are labels")
        assert models <= 2 * LABELLED_MODELS + LABELLED_MODELS  # of two processes, and those in production
        for job in JOBS:
            print_figure(f"meanwhile, for {many_seconds:.0f} s, a scrape of {scrape_times(server, job, many_seconds)}")
        _no_worker(site, server)
        assert server.fallen_counters("1h") == []


def _no_worker(site: Service, server: PrometheusServer) -> None:
    """Stops the sampling worker until its alert fires after its time, and waits until the alert ends."""
    pid = until(lambda: site.pid("worker", "sample"), 10, "the worker runs")
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: {"FlawsmithNoWorker", "FlawsmithErrorsFast"} <= server.firing(), 150, "the alerts fire")
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: "FlawsmithNoWorker" not in server.firing(), 60, "the alert ends")
