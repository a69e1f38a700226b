"""Gauges of what files say: the quality of what is in production, from reports beside the versions, and the disk."""

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from pydantic import ValidationError

from flawsmith.core.domain.quality_report import MeasureResult, QualityReport
from flawsmith.core.domain.records import ModelVersion, VerdictState
from flawsmith.core.metrics import MOST_MODELS
from flawsmith.core.store.registry import PRODUCTION, Registry, UnknownModel
from flawsmith.core.store.version_drift import drift_of
from flawsmith.core.store.version_report import report_file

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 15.0
LONGEST_WAIT = 0.01  # seconds that a scrape waits for a look
MOST_VERSIONS = 10  # of a model: the newest
MOST_MEASURES = 60  # of a model: each type counts
MOST_SERIES = 1000  # of measures, over all models
UNKNOWN = "unknown"  # the verdict of versions of earlier releases

Families = list[GaugeMetricFamily]


class QualityMetrics:
    """The gauges, at most `REMEMBERED_SECONDS` older than the files, or than the end of the look at them.

    A thread of its own looks, so that a stalled file system holds up no scrape.
    """

    def __init__(self, registry: Registry, data_dir: Path) -> None:
        self.registry, self.data_dir = registry, data_dir
        self._looking = ThreadPoolExecutor(1, "quality-metrics")
        self._look: Future[Families] | None = None
        self._families: Families = []
        self._until = 0.0  # on the monotonic clock

    def families(self) -> Families:
        """What is known now. The call that begins a look waits for it, for at most `LONGEST_WAIT`."""
        look = self._look
        if look is None and time.monotonic() >= self._until:
            look = self._look = self._looking.submit(self._found)
            wait([look], LONGEST_WAIT)
        if look is not None and look.done():
            self._until = time.monotonic() + REMEMBERED_SECONDS
            self._look = None
            if error := look.exception():
                log.warning("cannot read what is in production, or how full the disk is: %s", error)
            else:
                self._families = look.result()
        return self._families

    def close(self) -> None:
        """Starts no further look."""
        self._looking.shutdown(wait=False, cancel_futures=True)

    def _found(self) -> Families:
        return [*disk_families(self.data_dir), *production_families(self.registry)]


def disk_families(folder: Path) -> Families:
    """How much room the file system of a folder has. Raises OSError."""
    found = os.statvfs(folder)
    size = GaugeMetricFamily("flawsmith_disk_size_bytes", "Size of the data folder's file system")
    size.add_metric([], found.f_blocks * found.f_frsize)
    free = GaugeMetricFamily("flawsmith_disk_free_bytes", "Bytes of it that Flawsmith may still write")
    free.add_metric([], found.f_bavail * found.f_frsize)
    return [size, free]


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
        for found in _measures(registry, card)[: MOST_SERIES - len(measure.samples)]:
            names = [card.model, found.name, found.type or ""]
            measure.add_metric(names, found.value)
            photographs.add_metric(names, found.photographs)
    return [version, verdict, measure, photographs, *_served_families(registry)]


def _served_families(registry: Registry) -> Families:
    """What the newest drift check of each version found."""
    drifted = GaugeMetricFamily(
        "flawsmith_served_drift",
        "Whether what a version serves has drifted from its report",
        labels=["model", "version"],
    )
    changed = GaugeMetricFamily(
        "flawsmith_served_images_changed",
        "Whether known addresses give other images than before",
        labels=["model", "version"],
    )
    labels = ["model", "version", "measure", "type"]
    measure = GaugeMetricFamily("flawsmith_served_measure", "A measure of images that were served", labels=labels)
    for model in registry.models()[:MOST_MODELS]:
        for number in model.versions[:MOST_VERSIONS]:
            with suppress(UnknownModel, OSError, ValidationError):
                card = registry.version(model.name, str(number))
                if check := drift_of(registry.folder(card)):
                    version = [card.model, str(card.version)]
                    drifted.add_metric(version, float(check.drifted))
                    if check.images_changed is not None:
                        changed.add_metric(version, float(check.images_changed))
                    for each in check.measures[: min(MOST_MEASURES, MOST_SERIES - len(measure.samples))]:
                        measure.add_metric([*version, each.name, each.type or ""], each.value)
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
