"""What `GET /metrics` answers: this API's own counts, the state of the whole service, and what is in production."""

import os
from contextlib import nullcontext

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from flawsmith.app.carried_counts import carried_counts
from flawsmith.app.quality_metrics import QualityMetrics
from flawsmith.app.service_metrics import ServiceMetrics
from flawsmith.core.live.service_state import ServiceStateReader
from flawsmith.core.metrics import BuildInfo, exposition
from flawsmith.core.services import Services


class Scrape:
    """Answers scrapes, in any of the API's processes. It blocks: call it in a thread."""

    def __init__(self, services: Services) -> None:
        kinds, second = services.jobs.kinds.values(), services.image_redis
        images = ServiceStateReader(second, kinds) if second is not services.redis else None
        self._service = ServiceMetrics(ServiceStateReader(services.redis, kinds), images)
        self._quality = QualityMetrics(services.registry, services.settings.data_dir)
        self._carried = carried_counts(services.settings.metrics_file)

    def answer(self, accept: str) -> tuple[bytes, str]:
        """The metrics, and their content type, which the header `Accept` chooses."""
        encode, content_type = exposition(accept)
        return encode(_Collected([*self._own(), *self._shared()])), content_type

    def close(self) -> None:
        """Looks at no more files."""
        self._quality.close()

    def _own(self) -> list[Metric]:
        """The counts of all processes of this API, and of the ones before it."""
        registry = _registry_of_all_processes()
        with self._carried.saving() if self._carried else nullcontext():
            families = list(registry.collect())
            return self._carried.added(families) if self._carried else families

    def _shared(self) -> list[Metric]:
        return [*BuildInfo().collect(), *self._service.families(), *self._quality.families()]


def _registry_of_all_processes() -> Collector:
    """The metrics of every process of this API."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class _Collected(Collector):
    """Metric families that were collected already."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> list[Metric]:
        return self.families
