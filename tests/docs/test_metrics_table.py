"""docs/metrics.md lists every metric with its type and its labels."""

import re
from pathlib import Path

import pytest
import redis
import torch
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from flawsmith.app.quality_metrics import disk_families, production_families
from flawsmith.app.service_metrics import ServiceMetrics
from flawsmith.core.job_kinds import job_kinds
from flawsmith.core.live.service_state import ServiceStateReader
from flawsmith.core.metrics import BuildInfo
from flawsmith.core.store.artifacts import ArtifactStore
from flawsmith.core.store.registry import Registry
from flawsmith.worker import device_metrics
from flawsmith.worker.device_metrics import DeviceMetrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `(flawsmith_\w+)` \| (\w+) \| ([^|]*)\|", re.M)

Listed = dict[str, tuple[str, frozenset[str]]]
"""Type and labels by name."""


def counted() -> Listed:
    """The metrics of API and workers that are kept in their memory."""
    import flawsmith.app.main
    import flawsmith.worker.celery
    import flawsmith.worker.sampling
    import flawsmith.worker.segments  # noqa: F401

    collectors = [each for each in REGISTRY._collector_to_names if isinstance(each, MetricWrapperBase)]
    families = [(collector, family) for collector in collectors for family in collector.collect()]
    return {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, frozenset(collector._labelnames))
        for collector, family in families
        if family.name.startswith("flawsmith_")
    }


def collected(client: redis.Redis, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """The metrics that are read at a scrape."""
    monkeypatch.setattr(device_metrics, "_measured", lambda _: (1.0, 2.0, 0.5))
    families = [
        *ServiceMetrics(ServiceStateReader(client, job_kinds())).families(),
        *production_families(Registry(ArtifactStore(folder))),
        *disk_families(folder),
        *DeviceMetrics(torch.device("cuda")).collect(),
    ]
    [build] = BuildInfo().collect()
    found = {family.name: (family.type, frozenset(family._labelnames)) for family in families}
    return found | {f"{build.name}_info": (build.type, frozenset(build.samples[0].labels))}


def test_the_table_lists_every_metric_with_its_type_and_labels(
    empty_redis: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _ROW.findall(PAGE.read_text())
    listed = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(listed) == len(rows)
    assert listed == counted() | collected(empty_redis, tmp_path, monkeypatch)


def test_names_follow_the_conventions() -> None:
    for name, kind, _ in _ROW.findall(PAGE.read_text()):
        assert re.fullmatch(r"flawsmith(_[a-z]+)+", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)", name), name
