"""What the metrics of API and workers have in common: their form, names of models in bounded number, the build."""

import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from threading import Lock

from prometheus_client import disable_created_metrics
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

MOST_MODELS = 200
OPENMETRICS, PLAIN = "application/openmetrics-text", "text/plain"
OTHER = "other"  # in place of a further model's name

# Prometheus finds out itself when a counter began, and each of these would be one more series.
disable_created_metrics()  # type: ignore[no-untyped-call]


class BoundedLabel:
    """The values of a label that callers choose: the first ``most`` of them, and `OTHER` for all that come later.

    A time series is kept by this process and by Prometheus for each value, also of what was deleted.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: set[str] = set()
        self._lock = Lock()

    def __call__(self, value: str) -> str:
        """The value, or `OTHER`."""
        if value in self._known:
            return value
        with self._lock:
            if len(self._known) >= self.most:
                return OTHER
            self._known.add(value)
        return value

    def remember(self, values: Iterable[str]) -> None:
        """Notes values that an earlier process has counted."""
        for each in values:
            self(each)


model_label = BoundedLabel(MOST_MODELS)
"""The label `model` of this process's counters."""


class BuildInfo(Collector):
    """A collector: which release runs, on which Python."""

    def collect(self) -> Iterator[InfoMetricFamily]:
        labels = {"version": version("flawsmith"), "python": platform.python_version()}
        yield InfoMetricFamily("flawsmith_build", "The release and the Python that this process runs", value=labels)


def exposition(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """How a scrape that accepts this is answered: the encoder and the content type; OpenMetrics where it is preferred.

    Args:
        accept: the header `Accept`, which may say anything.
    """
    return choose_encoder(scrape_format(accept))


def scrape_format(accept: str) -> str:
    """The one media type of a scrape's answer."""
    quality: dict[str, float] = {}
    for each in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in each.split(";"))
        given = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        with suppress(ValueError):
            quality[media_type] = max(float(given), quality.get(media_type, 0.0))
    wanted = quality.get(OPENMETRICS, 0.0)
    return OPENMETRICS if wanted > 0 and wanted >= quality.get(PLAIN, 0.0) else PLAIN
