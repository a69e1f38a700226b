"""A real Prometheus scrapes a running service under load, with the rules and the dashboards in deploy/."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from flawsmith.core.domain.drift import DriftCheck, ServedMeasure
from flawsmith.core.domain.records import now
from flawsmith.core.live.sampling_queue import Consumer
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry
from flawsmith.core.store.version_drift import save_drift
from tests.conftest import SMALL_JOB, Service, photograph, start_service, stop_service, until, zipped
from tests.deploy.load import load
from tests.deploy.prometheus_server import (
    DASHBOARDS,
    PrometheusServer,
    at_once,
    names_in,
    prometheus,
    rules,
    wait_for_scrapes,
)
from tests.published_versions import FAILING, publish

WITHOUT_GPU = "flawsmith_device_"  # these need one
NEVER_HAPPENED = {"flawsmith_sampling_failures_total"}  # has a series once a micro-batch has failed


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the model `dents`. In the shared one a killed worker of another test counts as lost."""
    running = start_service(tmp_path_factory.mktemp("alone"), train_niceness="0")  # is scraped within a second
    archive = zipped({f"dents/{i}.png": photograph(i) for i in range(5)})
    assert running.upload("dents", archive).status_code == 201
    assert running.train("dents", "dents")["state"] == "succeeded"
    yield running
    stop_service(running)


@pytest.fixture(scope="module")
def judged(alone: Service) -> str:
    """A model in production that is failing and has drifted."""
    registry = Registry(ArtifactStore(alone.data_dir / "artifacts"))
    version = publish(registry, "job-watched", "watched-failing", verdict=FAILING)
    registry.set_alias("watched-failing", "production", version.version)
    served = ServedMeasure(name="ridges", type="scratches", value=2.0, reported=1.0, interval=(0.8, 1.2), drifted=True)
    check = DriftCheck(
        version=version.ref, created_at=now(), n=40, measures=[served], images_changed=True, reasons=["ridges"]
    )
    save_drift(registry.folder(version), check, registry.store.write_bytes)
    return version.ref


@pytest.fixture(scope="module")
def running_job(alone: Service) -> Iterator[str]:
    """A job that runs until the tests are over; another one has written checkpoints and was evaluated."""
    body = {"dataset": "dents", "model": "watched", **SMALL_JOB, "steps": 100_000}
    job = str(alone.client.post("/training-jobs", json=body).json()["id"])
    until(lambda: alone.client.get(f"/training-jobs/{job}").json()["losses"], 30, "the job reports its losses")
    yield job
    alone.client.post(f"/training-jobs/{job}/cancel")


@pytest.fixture(scope="module")
def watched(
    alone: Service, judged: str, running_job: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusServer]:
    """Prometheus, whose alerts fire at once, while the service is under load."""
    api, folder = alone.client.base_url.netloc.decode(), tmp_path_factory.mktemp("watched") / "prometheus"
    with prometheus(folder, api, immediately=True) as server, load(alone, "dents@1"):
        yield server


def panels() -> list[dict[str, Any]]:
    boards = [json.loads(file.read_text()) for file in DASHBOARDS.glob("*.json")]
    return [panel for board in boards for panel in board["panels"] if panel["type"] != "row"]


def test_every_series_that_rules_and_dashboards_name_exists(
    alone: Service, watched: PrometheusServer, running_job: str
) -> None:
    targets = alone.client.get("/metrics/targets").json()
    worker = {each["labels"]["queue"]: each["labels"]["worker"] for each in targets}
    failing = Consumer(alone.redis, worker["sample"])
    failing.give_back("watched@9", None, 60.0)
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    named = {name for each in [*expressions, *(rule["expr"] for rule in rules())] for name in names_in(each)}
    wanted = {name for name in named if not name.startswith(WITHOUT_GPU)} - NEVER_HAPPENED
    assert len(wanted) > 60
    until(lambda: wanted <= watched.names(), 30, f"series of {sorted(wanted - watched.names())}")
    variables = {"job_id": running_job, "worker": worker["train"]}
    for panel in panels():
        for target in panel["targets"]:
            expression = at_once(target["expr"], variables)
            if not names_in(expression) & NEVER_HAPPENED and WITHOUT_GPU not in expression and " > 0" not in expression:
                # A scrape that came too late ends a series until the next one.
                until(lambda asked=expression: watched.query(asked), 20, f"{panel['title']}: {expression}")
            else:
                watched.query(expression)
    failing.recovered("watched@9")  # not before: with the next scrape its series ends


def test_labels_are_those_of_the_service_alone(watched: PrometheusServer) -> None:
    routes = {sample["metric"]["route"] for sample in watched.query("count by (route) (flawsmith_http_requests_total)")}
    assert "unknown" in routes
    assert not any("made-up" in route for route in routes)


def test_alerts_fire_for_real_and_end(alone: Service, watched: PrometheusServer) -> None:
    pid = until(lambda: alone.pid("worker", "sample"), 10, "the worker runs")
    ended = {"FlawsmithNoWorker", "FlawsmithHeartbeatLost"}
    assert not ended & watched.firing()
    os.kill(pid, signal.SIGSTOP)
    try:
        wanted = ended | {"FlawsmithErrorsFast", "FlawsmithVerdictFailing"}
        until(lambda: wanted <= watched.firing(), 60, "the alerts fire")
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not ended & watched.firing(), 60, "the alerts end")


def test_no_count_falls_when_the_api_is_killed(alone: Service, watched: PrometheusServer) -> None:
    """tests/faults/test_metrics_under_faults.py kills workers as well."""

    def asked() -> float:
        return watched.value("sum(flawsmith_http_requests_total)")

    before = asked()
    pid = until(lambda: alone.pid("api"), 10, "the API runs")
    os.kill(pid, signal.SIGKILL)
    until(lambda: alone.pid("api") not in (None, pid), 30, "it is started again")
    until(alone.ready, 60, "the service is ready again")
    wait_for_scrapes(watched, 2)
    until(lambda: asked() > before, 20, "the count goes on")
    assert watched.fallen_counters("10m") == []
