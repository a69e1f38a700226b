"""The gauges of what is in production, over GET /metrics."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.published_versions import FAILING, GOOD, publish

from flawsmith.app import quality_metrics
from flawsmith.app.quality_metrics import QualityMetrics
from flawsmith.core.domain.drift import DriftCheck, ServedMeasure
from flawsmith.core.domain.quality_report import Copies, MeasureResult, QualityReport
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.services import Services
from flawsmith.core.store.version_drift import save_drift
from flawsmith.core.store.version_report import report_file, save_report

MEASURE = 'flawsmith_production_measure{measure="ridges",model="scratches",type="scratches"}'


def reported(services: Services, version: ModelVersion, value: float) -> None:
    def measure(name: str, **fields: Any) -> MeasureResult:
        usual = {"value": value, "photographs": 0.5, "controls": {}, "interval": None, "better": "lower", "n": 40}
        return MeasureResult(name=name, type="scratches", **usual | fields)

    report = QualityReport(
        version=version.ref,
        created_at=now(),
        verdict=version.verdict or GOOD,
        leading="ridges",
        measures=[measure("ridges"), measure("blind", counts=False)],
        copies=Copies(memorization_rate=None, authenticity=None, worst=[]),
        coverage={},
        two_sample=None,
    )
    save_report(services.registry.folder(version), report.model_dump(mode="json"), "page", services.store.write_bytes)


@pytest.fixture(autouse=True)
def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_metrics, "REMEMBERED_SECONDS", 0.0)
    monkeypatch.setattr(quality_metrics, "LONGEST_WAIT", 20.0)


def test_the_production_version_has_its_verdict_and_measures(api: TestClient, services: Services) -> None:
    for number, verdict in enumerate((GOOD, FAILING), 1):
        reported(services, publish(services.registry, f"job-{number}", verdict=verdict), float(number))
    assert "flawsmith_production_measure{" not in api.get("/metrics").text
    services.registry.set_alias("scratches", "production", 2)
    lines = api.get("/metrics").text.splitlines()
    assert 'flawsmith_production_version{model="scratches"} 2.0' in lines
    assert 'flawsmith_production_verdict{model="scratches",state="failing"} 1.0' in lines
    assert 'flawsmith_production_verdict{model="scratches",state="good"} 0.0' in lines
    assert f"{MEASURE} 2.0" in lines
    assert MEASURE.replace("_measure{", "_measure_photographs{") + " 0.5" in lines
    assert not any('measure="blind"' in each for each in lines)
    services.registry.set_alias("scratches", "production", 1)
    assert f"{MEASURE} 1.0" in api.get("/metrics").text


@pytest.mark.parametrize("content", [None, b"{", b"{}"], ids=["missing", "cut off", "of another form"])
def test_a_report_that_cannot_be_read_costs_its_measures_only(
    api: TestClient, services: Services, content: bytes | None
) -> None:
    version = publish(services.registry, "job-1")
    services.registry.set_alias("scratches", "production", 1)
    if content is not None:
        services.store.write_bytes(report_file(services.registry.folder(version)), content)
    answer = api.get("/metrics")
    assert answer.status_code == 200
    assert 'flawsmith_production_verdict{model="scratches",state="unknown"} 1.0' in answer.text
    assert "flawsmith_production_measure{" not in answer.text
    assert 'flawsmith_redis_up{server="main"} 1.0' in answer.text


def test_the_newest_drift_check_of_each_version_is_shown(api: TestClient, services: Services) -> None:
    folder = services.registry.folder(publish(services.registry, "job-1"))
    assert "flawsmith_served_drift{" not in api.get("/metrics").text
    served = ServedMeasure(name="ridges", type="scratches", value=2.0, reported=1.0, interval=(0.8, 1.2), drifted=True)
    check = DriftCheck(
        version="scratches@1",
        created_at=now(),
        n=40,
        measures=[served],
        images_changed=False,
        reasons=["ridges of scratches is 2"],
    )
    save_drift(folder, check, services.store.write_bytes)
    lines = api.get("/metrics").text.splitlines()
    assert 'flawsmith_served_drift{model="scratches",version="1"} 1.0' in lines
    assert 'flawsmith_served_images_changed{model="scratches",version="1"} 0.0' in lines
    assert 'flawsmith_served_measure{measure="ridges",model="scratches",type="scratches",version="1"} 2.0' in lines


def test_a_scrape_does_not_wait_for_a_stalled_store(
    services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(quality_metrics, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(services.registry, "models", lambda: go_on.wait(20) and [])
    metrics = QualityMetrics(services.registry, tmp_path)
    begun = time.monotonic()
    assert metrics.families() == metrics.families() == []
    assert time.monotonic() - begun < 5
    go_on.set()
    metrics.close()
