"""Gauges of the quality of what is in production, read from the reports beside the versions."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice

from prometheus_client.core import GaugeMetricFamily
from pydantic import ValidationError

from flawsmith.core.domain.quality_report import MeasureResult, QualityReport
from flawsmith.core.domain.records import ModelVersion, VerdictState
from flawsmith.core.store.registry import PRODUCTION, Registry, UnknownModel
from flawsmith.core.store.version_drift import drift_of
from flawsmith.core.store.version_report import report_file

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 15.0
LONGEST_WAIT = 1.0  # seconds that a scrape waits for the first look
MOST_MODELS = 200
MOST_VERSIONS = 10  # of a model: the newest
MOST_MEASURES = 60  # of a model: each type counts
UNKNOWN = "unknown"  # the verdict of versions of earlier releases

Families = list[GaugeMetricFamily]


class QualityMetrics:
    """The gauges, at most `REMEMBERED_SECONDS` older than the files, or than the end of the look at them.

    A thread of its own looks, so that a stalled file system holds up no scrape.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._looking = ThreadPoolExecutor(1, "quality-metrics")
        self._look: Future[Families] | None = None
        self._families: Families = []
        self._until = 0.0  # on the monotonic clock

    def families(self) -> Families:
        """What is known now. The first call waits for the look, for at most `LONGEST_WAIT`."""
        look = self._look
        if look is None and time.monotonic() >= self._until:
            look = self._look = self._looking.submit(production_families, self.registry)
            wait([look], LONGEST_WAIT)
        if look is not None and look.done():
            self._until = time.monotonic() + REMEMBERED_SECONDS
            self._look = None
            if error := look.exception():
                log.warning("cannot read the quality of what is in production: %s", error)
            else:
                self._families = look.result()
        return self._families

    def close(self) -> None:
        """Starts no further look."""
        self._looking.shutdown(wait=False, cancel_futures=True)


def production_families(registry: Registry) -> Families:
    """Version, verdict and measures of each model's alias `production`. A model that cannot be read is left out."""
    version = GaugeMetricFamily(
        "flawsmith_production_version", "Version of a model's alias `production`", labels=["model"]
    )
    verdict = GaugeMetricFamily(
        "flawsmith_production_verdict",
        "1 for the verdict of a model's version in production, 0 for the others",
        labels=["model", "state"],
    )
    labels = ["model", "measure", "type"]
    measure = GaugeMetricFamily(
        "flawsmith_production_measure", "A measure of the version in production, from its report", labels=labels
    )
    photographs = GaugeMetricFamily(
        "flawsmith_production_measure_photographs", "The same measure of photographs", labels=labels
    )
    for card in islice(_in_production(registry), MOST_MODELS):
        version.add_metric([card.model], card.version)
        state = card.verdict.state.value if card.verdict else UNKNOWN
        for each in (*(known.value for known in VerdictState), UNKNOWN):
            verdict.add_metric([card.model, each], float(each == state))
        for found in _measures(registry, card):
            names = [card.model, found.name, found.type or ""]
            measure.add_metric(names, found.value)
            photographs.add_metric(names, found.photographs)
    return [version, verdict, measure, photographs, *_served_families(registry)]


def _served_families(registry: Registry) -> Families:
    """What the newest drift check of each version found."""
    drifted = GaugeMetricFamily(
        "flawsmith_served_drift", "Whether what a version serves has drifted from its report", labels=["model"]
    )
    changed = GaugeMetricFamily(
        "flawsmith_served_images_changed", "Whether known addresses give other images than before", labels=["model"]
    )
    labels = ["model", "measure", "type"]
    measure = GaugeMetricFamily("flawsmith_served_measure", "A measure of images that were served", labels=labels)
    for model in registry.models()[:MOST_MODELS]:
        for number in model.versions[:MOST_VERSIONS]:
            with suppress(UnknownModel, OSError, ValidationError):
                card = registry.version(model.name, str(number))
                if check := drift_of(registry.folder(card)):
                    drifted.add_metric([card.ref], float(check.drifted))
                    if check.images_changed is not None:
                        changed.add_metric([card.ref], float(check.images_changed))
                    for each in check.measures[:MOST_MEASURES]:
                        measure.add_metric([card.ref, each.name, each.type or ""], each.value)
    return [drifted, changed, measure]


def _in_production(registry: Registry) -> Iterator[ModelVersion]:
    for model in registry.models():
        if number := model.aliases.get(PRODUCTION):
            with suppress(UnknownModel, OSError, ValidationError):  # deleted or damaged meanwhile
                yield registry.version(model.name, str(number))


def _measures(registry: Registry, version: ModelVersion) -> list[MeasureResult]:
    """Of its report, those that count; empty without a report that can be read."""
    try:
        report = QualityReport.model_validate_json(report_file(registry.folder(version)).read_bytes())
    except (OSError, ValidationError):
        return []
    return [each for each in report.measures if each.counts][:MOST_MEASURES]
